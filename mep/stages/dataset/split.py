"""Which images are set aside: whole groups and near duplicates, with the share of every label that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import HELDOUT, TRAIN, VALIDATION
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.sources import Record
from mep.stages.dataset.columns import group_numbers
from mep.stages.dataset.scan import Int64, connected
from mep.statistics.stratification import stratified

if TYPE_CHECKING:
    from mep.sections.dataset import DatasetConfig

Splits: TypeAlias = NDArray[np.int8]
"""(n,) TRAIN, HELDOUT or VALIDATION of every image."""
Labels: TypeAlias = Int64 | NDArray[np.bool_]
"""int64 (n,) one label an image, or bool (n, findings) what each image shows."""


def split_images(records: Sequence[Record], labels: Labels, twins: Int64, config: DatasetConfig, work: Work) -> Splits:
    """The split of every image: the held-out part first, then validation from the rest, whole groups each.

    labels      int64 (n,), or bool (n, findings), of which each is stratified
    twins       int64 (n,)  number of the group of near duplicates of each image
    """
    named = group_numbers(records, config.group)
    n_named = int(named.max()) + 1
    joined = connected(named, n_named + twins, n_named + int(twins.max()) + 1)  # images, as edges of a graph
    groups = joined[named]
    heldout = _choose_heldout(records, labels, groups, config, work)
    _refuse_empty_side(heldout, "held-out", "dataset.holdout")
    splits = np.where(heldout, HELDOUT, TRAIN).astype(np.int8)
    rest = np.flatnonzero(~heldout)
    if config.validation.splits or config.validation.fraction:
        if config.validation.splits:
            validation = _in_splits(records, config.validation.splits, "dataset.validation.splits")[rest]
        else:
            numbers = np.unique(groups[rest], return_inverse=True)[1]
            validation = draw_groups(labels[rest], numbers, config.validation.fraction, work.rng("validation"))
        _refuse_empty_side(validation, "validation", "dataset.validation")
        splits[rest[validation]] = VALIDATION
    torn = np.flatnonzero(straddling(named, splits))
    if config.group is not None and torn.size:
        raise DataError(
            f"{config.group} {records[torn[0]].metadata[config.group]} lies in several of the given splits"
            f" ({len(torn)} images of such groups)",
            hint="split by fraction, or leave the images out: mep lint RECIPE --fix exclude.txt",
            field="dataset.group",
        )
    return splits


def _choose_heldout(
    records: Sequence[Record], labels: Labels, groups: Int64, config: DatasetConfig, work: Work
) -> NDArray[np.bool_]:
    if config.holdout.splits:
        return _in_splits(records, config.holdout.splits, "dataset.holdout.splits")
    if groups.max() == 0:
        raise DataError(
            f"all {len(records)} images are near duplicates of each other or of one group: none can be set aside",
            hint="look at the images; near_duplicate_bits: null ignores how like they are",
            field="dataset.near_duplicate_bits",
        )
    return draw_groups(labels, groups, config.holdout.drawn, work.rng("holdout"))


def _in_splits(records: Sequence[Record], names: tuple[str, ...], field: str) -> NDArray[np.bool_]:
    splits = sorted({record.split for record in records} - {""})
    for name in names:
        if name not in splits:
            raise DataError(
                f"the dataset has no split '{name}'",
                hint=f"splits: {', '.join(splits) or 'none; use a fraction, as in {fraction: 0.2}'}",
                field=field,
            )
    return np.array([record.split in names for record in records])


def _refuse_empty_side(chosen: NDArray[np.bool_], name: str, field: str) -> None:
    if chosen.all() or not chosen.any():
        side = "training" if chosen.all() else name
        raise DataError(f"the split leaves no {side} image", hint="change the fraction", field=field)


def draw_groups(labels: Labels, groups: Int64, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """bool (n,): whole groups in random order, each taken when it brings the count of its labels nearer to the share.

    labels      int64 (n,)    -1 counts as a label of its own; bool (n, findings) is stratified iteratively
    groups      int64 (n,)    0 ... number of groups - 1
    """
    if labels.ndim == 2:
        return stratified(np.asarray(labels, dtype=np.bool_), groups, fraction, rng)
    from scipy.sparse import coo_array

    n_groups, n_labels = int(groups.max()) + 1, int(labels.max()) + 2
    counts = coo_array((np.ones(len(labels)), (groups, labels + 1)), (n_groups, n_labels)).tocsr()
    bounds, columns, sizes = (part.tolist() for part in (counts.indptr, counts.indices, counts.data))
    missing = (np.bincount(labels + 1, minlength=n_labels) * fraction).tolist()
    taken = np.zeros(n_groups, dtype=bool)
    for group in rng.permutation(n_groups).tolist():
        cells = range(bounds[group], bounds[group + 1])
        if sum(abs(missing[columns[at]] - sizes[at]) - abs(missing[columns[at]]) for at in cells) < 0:
            taken[group] = True
            for at in cells:
                missing[columns[at]] -= sizes[at]
    return taken[groups]


def straddling(groups: Int64, splits: Splits) -> NDArray[np.bool_]:
    """bool (n,), True for images whose group lies in more than one split."""
    first = np.full(int(groups.max()) + 1, -1, dtype=np.int8)
    first[groups[::-1]] = splits[::-1]
    mixed = np.zeros(len(first), dtype=bool)
    mixed[groups[splits != first[groups]]] = True
    return mixed[groups]
