"""What is wrong with a dataset before anything is computed from it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mep.artifacts import HELDOUT, TRAIN, VALIDATION
from mep.stages.dataset.columns import label_text, label_texts
from mep.stages.dataset.scan import near_duplicates, scan
from mep.stages.dataset.split import straddling
from mep.stages.dataset.stage import DatasetConfig, list_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mep.machine.work import Work
    from mep.methods.sources import Record
    from mep.stages.dataset.scan import Scanned

CHECKS = {
    "unreadable": "a file that does not decode",
    "missing_label": "an image without a label",
    "missing_group": "an image without a slide or a patient, where the recipe names a column for them",
    "duplicate": "an image with the same pixels as another",
    "conflicting_labels": "images with the same pixels and different labels",
    "same_name": "a file name that occurs in two folders",
    "straddling_group": "a slide or patient with images in several given splits",
    "straddling_twin": "a near duplicate of an image in another given split",
    "resolution": "an image less than half or more than twice as wide or high as the median",
    "small_class": "a class with no image, with a single one, or with none to train on",
}
"""What is looked for; each may be allowed by name."""


@dataclass(frozen=True)
class Finding:
    """image empty where it is about no single image; `excluded` tells whether leaving it out is the remedy."""

    check: str
    image: str
    detail: str
    excluded: bool


def lint(config: DatasetConfig, work: Work) -> tuple[int, list[Finding]]:
    """Number of images, and all that is wrong with them, check by check."""
    records, _ = list_records(config)
    scanned = scan(config.source, records, work)
    labels = label_texts(records, config.label) if config.label else None
    findings = [
        *_unreadable(records, scanned),
        *_missing_labels(records, labels, config),
        *_missing_groups(records, config),
        *_duplicates(records, scanned, labels),
        *_same_names(records),
        *_straddling(records, scanned, config),
        *_resolution(records, scanned),
        *_small_classes(records, scanned, labels, config),
    ]
    return len(records), findings


def _unreadable(records: list[Record], scanned: Scanned) -> Iterator[Finding]:
    for row in np.flatnonzero(scanned["error"] != b""):
        yield Finding("unreadable", records[row].id, scanned["error"][row].decode(errors="replace"), True)


def _missing_labels(records: list[Record], labels: list[str | None] | None, config: DatasetConfig) -> Iterator[Finding]:
    for record, label in zip(records, labels or [], strict=False):
        if label is None:
            yield Finding("missing_label", record.id, f"nothing in column '{config.label}'", True)


def _missing_groups(records: list[Record], config: DatasetConfig) -> Iterator[Finding]:
    if config.group is None:
        return
    for record in records:
        if label_text(record.metadata.get(config.group)) is None:
            yield Finding("missing_group", record.id, f"nothing in column '{config.group}'", True)


def _duplicates(records: list[Record], scanned: Scanned, labels: list[str | None] | None) -> Iterator[Finding]:
    same: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(scanned["sha256"].tolist()):
        if digest:
            same[digest].append(row)
    for rows in same.values():
        if len(rows) == 1:
            continue
        first = records[rows[0]].id
        names = {labels[row] for row in rows} if labels else set()
        if len(names) > 1:
            text = " and ".join(sorted(map(str, names)))
            for row in rows:
                yield Finding("conflicting_labels", records[row].id, f"labelled {text} in {len(rows)} copies", True)
        else:
            for row in rows[1:]:
                yield Finding("duplicate", records[row].id, f"the same pixels as {first}", True)


def _same_names(records: list[Record]) -> Iterator[Finding]:
    folders: dict[str, str] = {}
    for record in records:
        base = record.id.rpartition("/")[2]
        if (first := folders.setdefault(base, record.id)) != record.id:
            yield Finding(
                "same_name", record.id, f"the name of {first}; tools that flatten folders overwrite one", False
            )


def _straddling(records: list[Record], scanned: Scanned, config: DatasetConfig) -> Iterator[Finding]:
    """Only given splits can tear groups apart; drawn ones keep them together."""
    if not config.holdout.splits and not config.validation.splits:
        return
    splits = _given_splits(records, config)
    if config.group is not None:
        named = [label_text(record.metadata.get(config.group)) for record in records]
        values = [f"of {records[row].id}" if name is None else name for row, name in enumerate(named)]
        groups = np.unique(values, return_inverse=True)[1]
        for row in np.flatnonzero(straddling(groups, splits)):
            text = f"{config.group} {values[row]} has images in several splits"
            yield Finding("straddling_group", records[row].id, text, bool(splits[row] == TRAIN))
    if config.near_duplicate_bits is not None:
        rows = np.flatnonzero(scanned["error"] == b"")
        twins = near_duplicates(scanned["phash"][rows], config.near_duplicate_bits)
        for row in rows[straddling(twins, splits[rows])]:
            text = f"in {records[row].split or 'no split'}, nearly the same as one elsewhere"
            yield Finding("straddling_twin", records[row].id, text, bool(splits[row] == TRAIN))


def _given_splits(records: list[Record], config: DatasetConfig) -> NDArray[np.int8]:
    heldout = np.array([record.split in config.holdout.splits for record in records])
    validation = np.array([record.split in config.validation.splits for record in records])
    return np.where(heldout, HELDOUT, np.where(validation, VALIDATION, TRAIN)).astype(np.int8)


def _resolution(records: list[Record], scanned: Scanned) -> Iterator[Finding]:
    rows = np.flatnonzero(scanned["error"] == b"")
    if not len(rows):
        return
    sizes = np.stack([scanned["width"][rows], scanned["height"][rows]], 1)
    usual = np.median(sizes, axis=0)
    far = (np.abs(np.log2(sizes / usual)) > 1).any(1)
    for row, size in zip(rows[far], sizes[far], strict=True):
        text = f"{size[0]} x {size[1]} px, the median is {usual[0]:.0f} x {usual[1]:.0f}"
        yield Finding("resolution", records[row].id, text, True)


def _small_classes(
    records: list[Record], scanned: Scanned, labels: list[str | None] | None, config: DatasetConfig
) -> Iterator[Finding]:
    if labels is None or config.label is None:
        return
    splits = _given_splits(records, config)
    counts = {name: [0, 0] for name in config.source.classes(config.label)}
    for row, label in enumerate(labels):
        if label is not None and not scanned["error"][row]:
            count = counts.setdefault(label, [0, 0])
            count[0] += 1
            count[1] += bool(splits[row] == TRAIN)
    for name, (n, n_train) in sorted(counts.items()):
        if n < 2 or n_train == 0:
            text = f"class '{name}' has {n or 'no'} image{'s' * (n != 1)}, {n_train} to train on"
            yield Finding("small_class", "", text, False)
