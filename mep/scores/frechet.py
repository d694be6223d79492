"""The Fréchet distance: how far apart two sets lie when each is summed up by its mean and covariance.

Everything hangs on one number, the trace of the square root of a product of covariances. It is the sum of the
singular values of A Bᵀ, where A and B are the centred sets over √(n-1). In that form a set with fewer rows than
dimensions is as exact as any other, nothing turns complex, and no constant has to be added to a diagonal.
"""

from typing import ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.scores import Score, check_sets

ROUND_OFF = 1e-6
"""What may be missing to 0, as a share of the two traces; float64 leaves about 1e-8, so more is a wrong input."""

Floats = NDArray[np.float64]


class Frechet(Score):
    """Fréchet distance in the extractor's features (Heusel et al. 2017, arXiv:1706.08500).

    Its value falls as the sets grow, so compare only values of equal n and m, beside the real-against-real value of
    that n. With fewer rows than dimensions it is exact still, but tells more about n than about the images.
    """

    kind: Literal["frechet"]

    better: ClassVar[dict[str, Literal["lower", "higher"]]] = {"fd": "lower"}

    def measure(self, real: NDArray[np.floating], fake: NDArray[np.floating]) -> dict[str, float]:
        return {"fd": frechet_distance(*check_sets(real, fake, self.minimum()))}


def frechet_distance(real: Floats, fake: Floats) -> float:
    """Squared Fréchet distance between the Gaussians fitted to two sets; 0 when equal, lower is closer.

    real    float64 (n, d)   n >= 2, feature units
    fake    float64 (m, d)   m >= 2

    returns float            feature units squared; covariances divide by n - 1

    Source  Dowson & Landau 1982; as an image metric Heusel et al. 2017, arXiv:1706.08500
    """
    a, b = _centred(real), _centred(fake)
    return _assembled(real.mean(axis=0) - fake.mean(axis=0), float((a * a).sum() + (b * b).sum()), _overlap(a, b))


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


def _centred(features: Floats) -> Floats:
    """A with AᵀA = the covariance, one row an image."""
    return (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)


def _overlap(a: Floats, b: Floats) -> float:
    """Trace of the square root of the product of two covariances, from their centred sets."""
    # The covariance of d rows or fewer is singular; that of more may be, say by a channel that never fires.
    half = _cholesky(a.T @ a) if min(len(a), len(b)) > a.shape[1] else None
    if half is not None:
        return _overlap_from(half, b.T @ b)
    return _nuclear_norm(_reduced(a) @ _reduced(b).T)


def _reduced(rows: Floats) -> Floats:
    """At most d rows with the same inner products between columns: the triangle of the QR decomposition."""
    if len(rows) <= rows.shape[1]:
        return rows
    return cast(Floats, np.linalg.qr(rows, mode="r"))


def _overlap_from(half: Floats, cov_b: Floats) -> float:
    """The same from L, with L Lᵀ the one covariance, and the other: the eigenvalues of Lᵀ S L are those of L Lᵀ S."""
    spectrum = cast(Floats, np.linalg.eigvalsh(half.T @ cov_b @ half))
    return float(np.sqrt(_clipped(spectrum, scale=float((half * half).sum() * np.trace(cov_b)))).sum())


def _cholesky(cov: Floats) -> Floats | None:
    """The lower triangular half of a covariance; None where it is singular."""
    try:
        return cast(Floats, np.linalg.cholesky(cov))
    except np.linalg.LinAlgError:
        return None


def _eigen_half(cov: Floats) -> Floats:
    """Half of a covariance of any rank. Eigenvalues within round-off of 0 are 0: their roots would be 1e-8, not 0."""
    values, vectors = cast(tuple[Floats, Floats], np.linalg.eigh(cov))
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
