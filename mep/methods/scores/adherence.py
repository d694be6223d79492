"""Prompt adherence: does an image show the cluster and the label that its prompt asked for?"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.methods.scores import Better, Rows, Score

WANTED_CLUSTER, FOUND_CLUSTER, WANTED_LABEL, FOUND_LABEL = range(4)
"""Columns of an assigned image; -1 where nothing was wanted or found."""


class Adherence(Score):
    """Share of generated images that the clusterer which made the captions puts where their caption says.

    The embedder and the clusterer are those of the recipe. Beside it stand what chance gives, and what is left of
    real held-out images: at the resolution of the model, and after a pass through its autoencoder. Label adherence is
    the same for the label, judged by a logistic regression on the embeddings of the training images; what it says of
    the labels of real held-out images stands beside it. A caption without a cluster, or without a label, has none.
    """

    kind: Literal["adherence"]

    reads: ClassVar[Literal["features", "assignments"]] = "assignments"
    better: ClassVar[Better] = {"cluster_adherence": "higher", "label_adherence": "higher"}

    def minimum(self) -> int:
        return 1

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        """From assigned images, (n, 4) and (m, 4); the first are not looked at."""
        shares = _of_both(agreement, fake)
        if not shares:
            raise DataError("the captions name neither cluster nor label")
        return shares

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        """By chance: if what is shown had nothing to do with what was asked for."""
        return chances(fake, fake)


def _of_both(share: Callable[[Rows, int], float | None], assigned: Rows) -> dict[str, float]:
    """A share of clusters and of labels; one that was not asked for is absent."""
    shares = {"cluster_adherence": share(assigned, WANTED_CLUSTER), "label_adherence": share(assigned, WANTED_LABEL)}
    return {metric: value for metric, value in shares.items() if value is not None}


def agreement(assigned: Rows, wanted: int) -> float | None:
    """Share of images in which the column `wanted` and the one after it agree; None where nothing was wanted."""
    asked = assigned[assigned[:, wanted] >= 0]
    return float((asked[:, wanted] == asked[:, wanted + 1]).mean()) if len(asked) else None


def chances(assigned: Rows, whole: Rows) -> dict[str, float]:
    """Metric -> what some of the images would reach if what they show had nothing to do with what was asked for."""
    return _of_both(partial(chance, whole=whole), assigned)


def chance(assigned: Rows, wanted: int, whole: Rows | None = None) -> float | None:
    """Agreement to expect of two columns with these frequencies that know nothing of each other.

    whole       the images that tell how often each is found, where `assigned` are a part of them
    """
    asked = assigned[assigned[:, wanted] >= 0, wanted]
    whole = assigned if whole is None else whole
    found = whole[whole[:, wanted] >= 0, wanted + 1]
    shares = [(asked == value).mean() * (found == value).mean() for value in np.unique(asked)]
    return float(sum(shares)) if shares else None


def confusion(assigned: NDArray[np.int64], wanted: int, n_kinds: int) -> NDArray[np.int64]:
    """Images by what was wanted (rows) and is shown (columns; the last: noise), int64 (n_kinds, n_kinds + 1)."""
    table = np.zeros((n_kinds, n_kinds + 1), dtype=np.int64)
    asked = assigned[assigned[:, wanted] >= 0]
    np.add.at(table, (asked[:, wanted], np.where(asked[:, wanted + 1] < 0, n_kinds, asked[:, wanted + 1])), 1)
    return table
