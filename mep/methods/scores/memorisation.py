"""Memorisation: are generated images copies of training images?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from mep.errors import DataError
from mep.methods.scores import Better, Rows, Score, check_finite
from mep.statistics.distances import Arithmetic, nearest_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

Cells: TypeAlias = "NDArray[np.int64]"
"""The cell of feature space of every image, int64 (n,)."""

COPY_QUANTILE = 0.01
"""A generated image nearer to a training image than all but 1 % of held-out ones are counts as a copy."""

N_CELLS = 3
CELL_DIMENSIONS = 64
FEWEST_IN_A_CELL = 20

FIRST, SECOND, OF_NEAREST, NEAREST, CELL, IN_CELL = range(6)
"""Columns of a described image: distances to the nearest and second-nearest training image, the distance of the
nearest one to its own nearest fellow, its row, the cell of feature space, the distance to the nearest in that cell."""


class Memorisation(Score):
    """How near generated images come to training images, beside what held-out real images do.

    A model that generalises comes as near as held-out images: a copy rate of 1 %, an authenticity and a neighbour ratio
    like theirs, a C_T of 0. No such number tells copying from a model that has merely become narrow, so look at the
    closest pairs too. Measured in an extractor that did not make the clusters, against every training image.
    """

    kind: Literal["memorisation"]

    needs_train: ClassVar[bool] = True
    better: ClassVar[Better] = {
        "copy_rate": "lower",
        "authenticity": "higher",
        "nn_ratio": "higher",
        "nn_distance": "higher",
        "ct": "higher",
    }

    def minimum(self) -> int:
        """20: the nearest 1 % of fewer held-out images are nobody."""
        return 20

    def describe(
        self, real: Rows, fake: Rows, train: Rows | None, *, seed: int, device: str = "cpu"
    ) -> tuple[Rows, Rows]:
        """What every held-out and generated image is to the training images: float64 (n, 6) and (m, 6)."""
        if train is None or len(train) < 3:
            raise DataError("there are no training images to compare with", hint="give the training images")
        check_finite(train, "train")
        of_train, *of_sets = _cells(train, (train, real, fake), seed)
        described_real, described_fake = (
            np.column_stack(
                [neighbourhood(rows, train, device=device), cells, nearest_in_cell(rows, cells, train, of_train)]
            )
            for rows, cells in zip((real, fake), of_sets, strict=True)
        )
        return described_real, described_fake

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        """From described images, held-out ones first."""
        threshold = np.quantile(real[:, FIRST], COPY_QUANTILE)
        metrics = {
            "copy_rate": float((fake[:, FIRST] < threshold).mean()),
            "authenticity": float((fake[:, FIRST] > fake[:, OF_NEAREST]).mean()),
            "nn_ratio": float(np.median(_ratio(fake))),
            "nn_distance": float(fake[:, FIRST].mean()),
        }
        score = ct(real[:, IN_CELL], fake[:, IN_CELL], real[:, CELL], fake[:, CELL])
        return metrics if score is None else metrics | {"ct": score}

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        """Of the held-out images themselves."""
        return self.measure(real, real) | {"copy_rate": COPY_QUANTILE, "ct": 0.0}


def neighbourhood(images: Rows, train: Rows, *, device: str = "cpu") -> NDArray[np.float64]:
    """Columns FIRST to NEAREST of every image, float64 (n, 4)."""
    arithmetic = Arithmetic(device=device)
    rows, squared = nearest_rows(images, train, 2, arithmetic=arithmetic)
    nearest = rows[:, 0]
    distinct, place = np.unique(nearest, return_inverse=True)
    of_nearest = nearest_rows(train[distinct], train, 1, skip=distinct, arithmetic=arithmetic)[1][place, 0]
    return np.column_stack([np.sqrt(squared), np.sqrt(of_nearest), nearest])


def nearest_in_cell(images: Rows, cells: Cells, train: Rows, of_train: Cells) -> NDArray[np.float64]:
    """Distance of every image to the nearest training image of its cell, float64 (n,); no cell of train is empty."""
    distances = np.empty(len(images))
    for cell in np.unique(cells):
        inside = cells == cell
        distances[inside] = np.sqrt(nearest_rows(images[inside], train[of_train == cell], 1)[1][:, 0])
    return distances


def closest_pairs(described: Rows, n: int = 20) -> list[tuple[int, int, float, float]]:
    """(row, row of the training image, distance, ratio to its second-nearest) of the n nearest, nearest first."""
    distance, ratio = described[:, FIRST], _ratio(described)
    rows = np.lexsort([distance, ratio])[:n]
    return [(int(row), int(described[row, NEAREST]), float(distance[row]), float(ratio[row])) for row in rows]


def _ratio(described: Rows) -> NDArray[np.float64]:
    """Nearest over second-nearest distance, 0 to 1: near 0 for a copy, 1 where two training images are as near."""
    first, second = described[:, FIRST], described[:, SECOND]
    return np.asarray(np.divide(first, second, out=np.ones(len(first)), where=second > 0))


def ct(real: Rows, fake: Rows, cells_real: Rows | Cells, cells_fake: Rows | Cells) -> float | None:
    """Whether fakes lie nearer to the training images than held-out ones do: far below 0 they are copies, far above
    the model has not learned; a standard normal number when it generalises.

    real, fake      float (n,), (m,)    distance of each held-out and generated image to the nearest training image of
                                        its cell
    cells_real, ... (n,), (m,)          cell of feature space; the test is made in each and averaged by held-out images

    returns         None where no cell holds more than 20 generated and some held-out images

    Source          Meehan, Chaudhuri & Dasgupta 2020, arXiv:2004.05675
    """
    total = weights = 0.0
    for cell in np.unique(cells_real):
        inside, generated = real[cells_real == cell], fake[cells_fake == cell]
        if len(generated) > FEWEST_IN_A_CELL and len(inside):
            total += len(inside) * mann_whitney(inside, generated)
            weights += len(inside)
    return total / weights if weights else None


def mann_whitney(real: Rows, fake: Rows) -> float:
    """Standardised number of pairs in which the fake is the farther one, ties by half; below 0 fakes are nearer."""
    n, m = len(real), len(fake)
    ordered = np.sort(real)
    below, upto = np.searchsorted(ordered, fake, "left"), np.searchsorted(ordered, fake, "right")
    farther = float((below + upto).sum()) / 2
    return (farther - (n * m / 2 - 0.5)) / float(np.sqrt(n * m * (n + m + 1) / 12))


def _cells(train: Rows, sets: tuple[Rows, ...], seed: int) -> list[Cells]:
    """Cell of every image: 3-means on the training images, in the plane of their 64 largest components."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    if len(train) < N_CELLS * FEWEST_IN_A_CELL:
        return [np.zeros(len(rows), dtype=np.int64) for rows in sets]
    plane = PCA(min(CELL_DIMENSIONS, *train.shape), random_state=seed % 2**32).fit(train)
    cells = KMeans(N_CELLS, n_init=3, random_state=seed % 2**32).fit(plane.transform(train))
    return [cells.predict(plane.transform(rows)).astype(np.int64) for rows in sets]
