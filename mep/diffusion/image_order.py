"""Which images a step shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.machine.work import Work


@dataclass
class ImageOrder:
    """Rows of the images of every step: each epoch a new order of n draws, which follows from its number.

    An image comes as often as its weight says, rounded up or down by lot (systematic resampling); with equal weights
    that is exactly once.

    weights     float64 (n,)
    """

    work: Work
    weights: NDArray[np.float64]
    epochs: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, step: int, batch_size: int) -> NDArray[np.int64]:
        """int64 (batch_size,) rows of a step."""
        n = len(self.weights)
        positions = np.arange(step * batch_size, (step + 1) * batch_size)
        asked = np.unique(positions // n).tolist()
        self.epochs = {epoch: self.epochs[epoch] if epoch in self.epochs else self._order(epoch) for epoch in asked}
        return np.concatenate([self.epochs[epoch][positions[positions // n == epoch] % n] for epoch in asked])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        rng = self.work.rng("order", epoch)
        is_uniform = bool(np.all(self.weights == self.weights[0]))
        return rng.permutation(len(self.weights) if is_uniform else _resample(self.weights, rng))


def _resample(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 (n,) rows, each as often as its share of n says, rounded up or down."""
    n = len(weights)
    ends = np.floor(np.cumsum(weights * (n / weights.sum())) + rng.random()).astype(np.int64)
    ends += n - ends[-1]  # rounding may have lost or won the last one
    return np.repeat(np.arange(n), np.diff(ends, prepend=0))
