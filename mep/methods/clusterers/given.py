"""Clusters that somebody has given: an expert's morphology types, or what another program found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from mep.errors import DataError
from mep.methods._given import FromTable, said_of
from mep.methods.clusterers import Clusterer, Labels, Partition, State, Vectors, distances_to_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Images

FIELD = "clustering.method"
NOISE = "-1"
"""What clusterers of other libraries call an image without a cluster."""


class Given(FromTable, Clusterer):
    """The cluster of every image as a column names it; images without a value, or with -1, have none.

    Where the values are whole numbers, the clusters keep them; else the largest is cluster 0, and {cluster:name} says
    the value. Validation and held-out images have the cluster that they were given. Which cluster a new image shows is
    told by linear discriminant analysis of the embeddings (Fisher 1936), all clusters being as likely and their common
    covariance shrunk after Ledoit & Wolf 2004.
    """

    kind: Literal["given"]
    column: str = "cluster"
    """Column that holds the cluster."""

    def names_of(self, images: Images) -> dict[str, str]:
        """Image -> the name of its cluster, of those that have one."""
        said = map(_settled, said_of(images, self.path, self.id, self.column, FIELD))
        return {image_id: name for image_id, name in zip(images.ids, said, strict=True) if name is not None}

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        raise DataError("given clusters cannot be found again among other images", field=FIELD)

    def partition(self, names: Sequence[str | None], vectors: Vectors) -> tuple[Partition, list[str]]:
        """The clusters of some images, and the name of each; DataError where none of the images has one."""
        distinct = sorted({name for name in names if name is not None})
        if not distinct:
            raise DataError(
                f"column '{self.column}' gives none of the {len(names)} training images a cluster",
                hint="fill it in, or name another column",
                field=f"{FIELD}.column",
            )
        number = {name: place for place, name in enumerate(distinct)}
        labels = np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)
        state = _discriminant(vectors[labels >= 0], labels[labels >= 0], len(distinct))
        return Partition(labels, distances_to_mean(vectors, labels), state), distinct

    def soften(self, vectors: Vectors, labels: Labels) -> State:
        return {}

    def memberships(self, state: State, vectors: Vectors) -> NDArray[np.float32]:
        from scipy.special import softmax

        scores = vectors @ state["slopes"].T + state["offsets"]
        return np.asarray(softmax(scores, axis=1), dtype=np.float32)

    def assign(self, state: State, vectors: Vectors) -> Labels:
        scores = vectors @ state["slopes"].T + state["offsets"]
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)


def _settled(name: str | None) -> str | None:
    """The name of a cluster, a whole number without fraction (a data frame writes 3.0); None for no cluster."""
    if name is not None and re.fullmatch(r"-?\d{1,9}(\.0*)?", name):
        name = str(int(float(name)))
    return None if name == NOISE else name


def _discriminant(vectors: Vectors, labels: Labels, k: int) -> State:
    """Linear discriminant functions of k clusters: slopes float64 (k, d), offsets float64 (k,)."""
    from sklearn.covariance import ledoit_wolf

    means = np.stack([vectors[labels == cluster].mean(0, dtype=np.float64) for cluster in range(k)])
    within = vectors - means[labels]
    std = within.std(0)
    std[std == 0] = 1
    covariance, _ = ledoit_wolf(within / std, assume_centered=True)  # dimensions of any unit shrink alike
    covariance += 1e-6 * np.eye(len(std))  # invertible where no image differs from its mean
    slopes = np.linalg.solve(covariance, (means / std).T).T / std
    return {"slopes": slopes, "offsets": -0.5 * (slopes * means).sum(1)}
