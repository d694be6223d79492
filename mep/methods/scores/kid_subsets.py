"""The kernel distance as papers report it: the mean over subsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.methods.scores import Better, Rows, Score, check_sets
from mep.methods.scores.kid import KERNEL

if TYPE_CHECKING:
    from mep.artifacts.score_row import JsonObject


class KidSubsets(Score):
    """Mean and standard deviation of the kernel distance over 100 subsets of 1,000 images, for comparison with papers.

    The deviation is that of one subset, not the error of the mean, which `kid` gives without drawing anything. Drawn
    as torch-fidelity draws: from numpy's frozen legacy stream, of each subset first the generated images.
    """

    kind: Literal["kid_subsets"]
    subsets: int = Field(100, ge=2, le=1_000_000)
    """Subsets."""
    size: int = Field(1000, ge=2, le=1_000_000)
    """Images in each subset; all of a smaller set, which the row then says."""
    seed: int = Field(2020, ge=0, lt=2**32)
    """Seed of the subsets; torch-fidelity's by default."""

    better: ClassVar[Better] = {"kid_subsets": "lower", "kid_subsets_std": "lower"}
    halved: ClassVar[bool] = False

    def minimum(self) -> int:
        """The size of a subset; smaller ones have a larger deviation and no counterpart in papers."""
        return self.size

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        check_sets(real, fake, self.minimum())
        rng = np.random.RandomState(self.seed)
        values = []
        for _ in range(self.subsets):
            some_fake = fake[rng.choice(len(fake), self.size, replace=False)]
            some_real = real[rng.choice(len(real), self.size, replace=False)]
            values.append(_distance(some_real, some_fake))
        return {"kid_subsets": float(np.mean(values)), "kid_subsets_std": float(np.std(values))}

    def protocol(self, metric: str) -> JsonObject:
        return {"kernel": KERNEL}


def _distance(real: Rows, fake: Rows) -> float:
    """Unbiased kernel distance of two sets of equal size, small enough for one table."""
    n, d = real.shape
    tables = [(a @ b.T / d + 1) ** 3 for a, b in ((real, real), (fake, fake), (real, fake))]
    within = sum(float(table.sum(dtype=np.float64) - np.trace(table, dtype=np.float64)) for table in tables[:2])
    return float(within / (n * (n - 1)) - 2 * tables[2].mean(dtype=np.float64))
