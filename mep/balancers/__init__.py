"""Balancers: which images the model is trained on. They see the record, never the caption. One file, one balancer."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mep.registry import Method


@dataclass(frozen=True)
class Choice:
    """
    rows        int64 (t,)    rows of the images that were picked, sorted
    weights     float64 (t,)  how often each is drawn, relative to the others; mean 1
    shortage    a text per group that was left out or is smaller than the others
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    shortage: list[str]


class Balancer(Method):
    """Picks images so that groups are represented as wanted."""

    noun: ClassVar[str] = "balancer"

    def pick(
        self, labels: NDArray[np.int64], clusters: NDArray[np.int64], label_names: list[str], *, seed: int
    ) -> Choice:
        """A choice among n images.

        labels      int64 (n,)   -1 where the dataset has none
        clusters    int64 (n,)   -1 for images without a cluster, which are never picked

        DataError   no group is large enough
        """
        raise NotImplementedError
