"""Slots beside {cluster}: its coarse and its fine part, and the second cluster of an image."""

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TrainingSet

Column = tuple[NDArray[np.int64], list[str]]
"""For each image the number of its value, -1 where it has none, and the text of each number."""


def told_by(training_set: TrainingSet) -> set[str]:
    """The slots that a training set fills; others of these names are columns of the metadata."""
    coarse = {"coarse", "fine"} if training_set.codes else set()
    return coarse | (set() if training_set.seconds is None else {"second"})


def code_columns(names: set[str], training_set: TrainingSet, rows: NDArray[np.int64]) -> dict[str, Column]:
    """What prompts record beside label and cluster.

    rows    int64 (n,) of the training and validation images, in this order: whose cluster and second each one has
    """
    told, columns = told_by(training_set), dict[str, Column]()
    if "coarse" in names & told and "cluster" not in names:
        clusters = np.concatenate([training_set.clusters, training_set.validation.clusters])[rows]
        columns["coarse"] = _column(np.array([training_set.codes[cluster][0] for cluster in clusters.tolist()]))
    if "second" in names & told:
        both = (training_set.seconds, training_set.validation.seconds)
        columns["second"] = _column(np.concatenate([part for part in both if part is not None])[rows])
    return columns


def _column(values: NDArray[np.int64]) -> Column:
    distinct = np.unique(values[values >= 0])
    return np.where(values >= 0, np.searchsorted(distinct, values), -1), [str(value) for value in distinct.tolist()]
