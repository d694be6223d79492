"""The Fréchet distance: how far apart two sets lie when each is summed up by its mean and covariance.

Everything hangs on one number, the trace of the square root of a product of covariances. It is the sum of the
singular values of A Bᵀ, where A and B are the centred sets over √(n-1). In that form a set with fewer rows than
dimensions is as exact as any other, nothing turns complex, and no constant has to be added to a diagonal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from mep.errors import DataError
from mep.methods.scores import Better, Rows, Score, check_sets
from mep.statistics.distances import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
ROUND_OFF = 1e-6
"""What may be missing to 0, as a share of the two traces; float64 leaves about 1e-8, so more is a wrong input."""

N_SPLITS = 5
"""Random pairs of real sets whose mean distance is taken for what real images reach."""


class Frechet(Score):
    """Fréchet distance in the extractor's features (Heusel et al. 2017, arXiv:1706.08500).

    Its value falls as the sets grow, so compare only values of equal n and m. Beside it stand fd_null, what real
    images reach at that n, and fd_excess, what is left when that is taken off. With fewer rows than dimensions it is
    exact still, but tells more about n than about the images.
    """

    kind: Literal["frechet"]

    better: ClassVar[Better] = {"fd": "lower"}
    smooth: ClassVar[bool] = True
    excess: ClassVar[tuple[str, ...]] = ("fd",)
    gap: ClassVar[bool] = True
    grouped: ClassVar[bool] = True
    in_plane: ClassVar[bool] = True
    full_rank: ClassVar[bool] = True

    def group_minimum(self, d: int) -> int:
        """Twice the dimensions: below them a covariance has no full rank."""
        return 2 * d

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        real, fake = check_sets(real, fake, self.minimum())
        return {"fd": frechet_distance(real, fake)}

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        return {"fd": null_distance(real, train, len(real), len(fake), seed=seed)}


def frechet_distance(real: Rows, fake: Rows) -> float:
    """Squared Fréchet distance between the Gaussians fitted to two sets; 0 when equal, lower is closer.

    real    float (n, d)   n >= 2, feature units
    fake    float (m, d)   m >= 2
    returns float          feature units squared; computed in float64, covariances divide by n - 1

    Source  Dowson & Landau 1982; as an image metric Heusel et al. 2017, arXiv:1706.08500
    """
    mean_a, mean_b = (rows.mean(axis=0, dtype=np.float64) for rows in (real, fake))
    # The covariance of d rows or fewer is singular; that of more may be, say by a channel that never fires.
    if min(len(real), len(fake)) > real.shape[1]:
        cov_a, cov_b = _covariance(real, mean_a), _covariance(fake, mean_b)
        half = _cholesky(cov_a)
        if half is not None:
            return _assembled(mean_a - mean_b, float(np.trace(cov_a) + np.trace(cov_b)), _overlap_from(half, cov_b))
    a, b = _centred(real, mean_a), _centred(fake, mean_b)
    traces = float(np.einsum("nd,nd->", a, a) + np.einsum("nd,nd->", b, b))
    return _assembled(mean_a - mean_b, traces, _nuclear_norm(_reduced(a) @ _reduced(b).T))


def null_distance(real: Rows, more: Rows | None, n: int, m: int, *, seed: int) -> float:
    """Fréchet distance to expect between n and m real images: what a perfect generator would reach, not zero.

    more    (t, d)  further real images, those of training say; None where there are none

    returns the mean over random disjoint sets of n and m of them, where there are n + m; else the law c (1/n + 1/m)
            with c from random halves, which holds where a half has as many rows as dimensions

    DataError   neither is possible
    """
    pool = real if more is None else np.concatenate([real, more])
    rng = np.random.default_rng([seed, n, m])
    half = len(pool) // 2
    direct = len(pool) >= n + m
    if not direct and half < pool.shape[1]:
        raise DataError(
            f"{len(pool)} real images of {pool.shape[1]} dimensions do not tell what {n} against {m} of them reach",
            hint=f"give {n + m} real images, training images among them, or an extractor of {half} dimensions or fewer",
        )
    a, b = (n, m) if direct else (half, half)
    distances = []
    for _ in range(N_SPLITS):
        rows = rng.permutation(len(pool))[: a + b]
        distances.append(frechet_distance(pool[rows[:a]], pool[rows[a:]]))
    mean = float(np.mean(distances))
    return mean if direct else mean * half / 2 * (1 / n + 1 / m)


def frechet(mean_a: Floats, cov_a: Floats, mean_b: Floats, cov_b: Floats) -> float:
    """Squared Fréchet distance between two Gaussians; 0 when equal, lower is closer.

    mean_a, mean_b   float64 (d,)     feature units
    cov_a, cov_b     float64 (d, d)   symmetric, positive semi-definite
    returns          float            feature units squared
    DataError        the two widths d differ, or a covariance has a negative eigenvalue
    Source           Dowson & Landau 1982; as an image metric Heusel et al. 2017, arXiv:1706.08500
    """
    if len(mean_a) != len(mean_b):
        raise DataError(
            f"the first Gaussian has {len(mean_a)} dimensions, the second {len(mean_b)}",
            hint="compute both with the same extractor",
        )
    half = _cholesky(cov_a)
    overlap = _nuclear_norm(_eigen_half(cov_a).T @ _eigen_half(cov_b)) if half is None else _overlap_from(half, cov_b)
    return _assembled(mean_a - mean_b, float(np.trace(cov_a) + np.trace(cov_b)), overlap)


def _centred(features: Rows, mean: Floats) -> Floats:
    """A with AᵀA = the covariance, one row an image."""
    return np.asarray((features - mean) / np.sqrt(len(features) - 1))


def _covariance(features: Rows, mean: Floats) -> Floats:
    """Block by block: a whole centred copy in float64 takes longer to lay out than to multiply."""
    total = np.zeros((features.shape[1],) * 2)
    for rows in blocks(len(features)):
        centred = features[rows] - mean
        total += centred.T @ centred
    return total / (len(features) - 1)


def _reduced(rows: Floats) -> Floats:
    """At most d rows with the same inner products between columns: the triangle of the QR decomposition."""
    return rows if len(rows) <= rows.shape[1] else np.asarray(np.linalg.qr(rows, mode="r"))


def _overlap_from(half: Floats, cov_b: Floats) -> float:
    """The same from L, with L Lᵀ the one covariance, and the other: the eigenvalues of Lᵀ S L are those of L Lᵀ S."""
    import torch
    from scipy.linalg.blas import dtrmm

    # half of the work of a general product: L is triangular. `dtrmm` reads columns first, so a symmetric S as it is.
    turned = dtrmm(1.0, half, dtrmm(1.0, half, cov_b.T, side=1, lower=1), side=0, lower=1, trans_a=1)
    # torch's LAPACK is twice as fast as the one inside numpy's wheel
    spectrum = np.asarray(torch.linalg.eigvalsh(torch.from_numpy(np.ascontiguousarray(turned))))
    return float(np.sqrt(_clipped(spectrum, scale=float((half * half).sum() * np.trace(cov_b)))).sum())


def _cholesky(cov: Floats) -> Floats | None:
    """The lower triangular half of a covariance; None where it is singular."""
    import torch

    half, failed = torch.linalg.cholesky_ex(torch.from_numpy(cov))
    return None if int(failed) else np.asarray(half)


def _eigen_half(cov: Floats) -> Floats:
    """Half of a covariance of any rank. Eigenvalues within round-off of 0 are 0: their roots would be 1e-8, not 0."""
    values, vectors = np.linalg.eigh(cov)
    values = _clipped(values, scale=float(np.abs(values).sum()))
    values[values < len(values) * np.finfo(np.float64).eps * values[-1]] = 0.0  # the cut of np.linalg.matrix_rank
    return vectors * np.sqrt(values)


def _nuclear_norm(matrix: Floats) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def _clipped(eigenvalues: Floats, scale: float) -> Floats:
    """Round-off below 0 taken to 0."""
    if eigenvalues.min() < -ROUND_OFF * scale:
        raise DataError(
            f"a covariance has a negative eigenvalue ({eigenvalues.min():.3g} at a scale of {scale:.3g})",
            hint="compute it in float64 from the features themselves",
        )
    return np.maximum(eigenvalues, 0.0)


def _assembled(shift: Floats, traces: float, overlap: float) -> float:
    distance = float(shift @ shift) + traces - 2 * overlap
    if distance < -ROUND_OFF * traces:
        raise ArithmeticError(f"a Fréchet distance came out as {distance} with traces of {traces}")
    return max(distance, 0.0)
