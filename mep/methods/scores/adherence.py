"""Prompt adherence: does an image show the cluster and the label that its prompt asked for?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mep.errors import DataError
from mep.methods.scores import Better, Rows, Score
from mep.statistics.classification import auroc

if TYPE_CHECKING:
    from numpy.typing import NDArray

WANTED_CLUSTER, FOUND_CLUSTER, WANTED_LABEL, FOUND_LABEL = range(4)
"""Columns of an assigned image; -1 where nothing was wanted or found."""
SHOWN = 0.5
"""How probable a finding has to be that an image is held to show it."""


class Adherence(Score):
    """Share of generated images that the clusterer which made the captions puts where their caption says.

    The embedder and the clusterer are those of the recipe. Beside it stand what chance gives, and what is left of
    real held-out images: at the resolution of the model, and after a pass through its autoencoder. Label adherence is
    the same for the label, judged by a logistic regression on the embeddings of the training images; what it says of
    the labels of real held-out images stands beside it. A caption without a cluster, or without a label, has none.
    Where images show several findings, label adherence is of all of them at once, and each is judged by itself, too.
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


class FindingAdherence(Score):
    """Whether images show each finding that they were asked for, whatever else they show.

    Judged finding by finding by a logistic regression on the embeddings of the training images. Of several findings
    the mean is told. It is part of `adherence`, and no score of its own.

    finding_adherence   share of the images that were asked for a finding that are held to show it, as probably as not
    finding_auroc       area under the ROC curve of images that were asked for it against the others, chance 0.5
    """

    kind: Literal["finding_adherence"] = "finding_adherence"
    findings: tuple[str, ...]
    """What the mean is over: two arms that were asked for unlike findings do not compare."""

    reads: ClassVar[Literal["features", "assignments"]] = "assignments"
    better: ClassVar[Better] = {"finding_adherence": "higher", "finding_auroc": "higher"}

    def minimum(self) -> int:
        return 1

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        """From (m, 2 f): 1 where each of f findings was asked for, and how probable it is that the image shows it.

        A metric is absent where a finding was asked for in no image, the area also where it was in all.
        """
        asked, probable = (part.T for part in np.split(fake.astype(np.float64), 2, axis=1))
        if not asked.any(axis=1).all():
            return {}
        shares = [float((chance_of[on > 0] > SHOWN).mean()) for on, chance_of in zip(asked, probable, strict=True)]
        found = {"finding_adherence": float(np.mean(shares))}
        if not (asked > 0).all(axis=1).any():
            areas = [_area(*of_one) for of_one in zip(asked, probable, strict=True)]
            found["finding_auroc"] = float(np.mean(areas))
        return found

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        """By chance: how often all images show each finding, and an area of a half."""
        probable = np.split(fake, 2, axis=1)[1]
        return {"finding_adherence": float((probable > SHOWN).mean()), "finding_auroc": 0.5}


def _area(asked: NDArray[np.float64], probable: NDArray[np.float64]) -> float:
    columns = np.column_stack([-probable, probable])
    return float(auroc(columns, (asked > 0).astype(np.int64), np.ones((1, len(asked))))[0])


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
