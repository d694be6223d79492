"""The Fréchet distance that endless sets would have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field

from mep.methods.scores import Better, Rows, Score, TooFewImages, check_sets
from mep.methods.scores.frechet import frechet_distance

Generator: TypeAlias = np.random.Generator | np.random.RandomState


class FdInfinity(Score):
    """Fréchet distance extrapolated to endless sets by a line in 1/N (Chong & Forsyth 2020, arXiv:1911.07023).

    Both sets are subsampled, since a fixed real set would keep half of the bias, and never below the number of
    dimensions, where the line bends. fd_excess is cheaper and steadier.
    """

    kind: Literal["fd_infinity"]
    sizes: int = Field(15, ge=3, le=10_000)
    """Numbers of images at which the distance is measured."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Which images are drawn."""

    better: ClassVar[Better] = {"fd_infinity": "lower"}
    halved: ClassVar[bool] = False
    full_rank: ClassVar[bool] = True

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        real, fake = check_sets(real, fake, self.minimum())
        n, d = min(len(real), len(fake)), real.shape[1]
        if n < 2 * d:
            raise TooFewImages(
                f"{n} images are too few to extrapolate in {d} dimensions, at least {2 * d} are needed",
                hint="use fd_excess, or an extractor of fewer dimensions",
            )
        sizes = np.linspace(max(d, n // 4), n, self.sizes).astype(int)
        rng = np.random.default_rng(self.seed)
        return {"fd_infinity": extrapolate(real, fake, sizes.tolist(), rng)}


def extrapolate(real: Rows, fake: Rows, sizes: Sequence[int], rng: Generator) -> float:
    """Intercept of the distances of random subsets of every size over 1/size."""
    return line_through(sizes, distances_at(real, fake, sizes, rng))[0]


def distances_at(real: Rows, fake: Rows, sizes: Sequence[int], rng: Generator) -> list[float]:
    """Fréchet distances of random subsets of every size."""
    return [frechet_distance(*(rows[rng.permutation(len(rows))[:size]] for rows in (real, fake))) for size in sizes]


def line_through(sizes: Sequence[int], distances: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope of distances over 1/size, by least squares."""
    intercept, slope = np.polynomial.polynomial.polyfit(1 / np.asarray(sizes), distances, 1)
    return float(intercept), float(slope)
