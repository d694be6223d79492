"""Slots beside {cluster}: its coarse and its fine part, and the second cluster of an image."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TrainingSet
from mep.stages.prompts.template import CODES, optional_parts, slots

Column = tuple[NDArray[np.int64], list[str]]
"""For each image the number of its value, -1 where it has none, and the text of each number."""


def problem_of(templates: Sequence[str], columns: Sequence[str], kind: str, second: float | None) -> tuple[str, str]:
    """What is wrong with these slots in templates, and what to do; two empty texts where nothing is.

    columns     of the metadata, which may be called like one of the slots
    kind        of the clusterer
    second      `clustering.second`
    """
    gives = {"coarse": kind == "hierarchical", "fine": kind == "hierarchical", "second": second is not None}
    for template in templates:
        named = {name for name, _ in slots(template)} & set(CODES)
        for name in sorted(named):
            if gives[name] and name in columns:
                return f"{{{name}}} is a slot and a column of the dataset", "rename the column"
            if not gives[name] and name not in columns:
                return _lacking(name, kind)
        if gives["fine"] and "fine" in named and not {name for name, _ in slots(template)} & {"coarse", "cluster"}:
            return "the template names {fine}, which counts within {coarse}", "name {coarse} as well"
        outside = re.sub(optional_parts.pattern, "", template)
        if gives["second"] and any(name == "second" for name, _ in slots(outside)):
            hint = "as in: type {cluster:words}[ and {second:words}]"
            return "{second} has to stand in brackets, because not every image has a second cluster", hint
    return "", ""


def _lacking(name: str, kind: str) -> tuple[str, str]:
    out = f"or take {{{name}}} out"
    if name == "second":
        hint = f"set it to the least probability that is said, such as 0.2, {out}"
        return "the template names {second}, but clustering.second is not set", hint
    hint = f"clustering.method: {{kind: hierarchical, coarse: ..., fine: ...}}, {out}"
    return f"the template names {{{name}}}, but clusters of kind '{kind}' lie in no coarse ones", hint


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
