"""What is wrong with a dataset before anything is computed from it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mep.artifacts import HELDOUT, TRAIN, VALIDATION
from mep.machine.tables import value_text
from mep.machine.work import Work
from mep.methods.sources import Record
from mep.sections.dataset import DatasetConfig
from mep.stages.dataset.labels import empty_column, listed_labels
from mep.stages.dataset.scan import Scanned, near_duplicates, scan
from mep.stages.dataset.split import straddling
from mep.stages.dataset.stage import list_records, unframed

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
    "burned_in": "a DICOM file whose header says that text or a face is in the image",
    "modality": "a DICOM file of another kind than most: a localizer among CT slices, an MR among X-rays",
    "no_window": "a DICOM file of deep grey without a window among others that have one: its contrast is another",
    "not_square": "a DICOM file whose pixels are not square, so that shapes are seen stretched",
    "no_tile": "a slide that gives no tile: too small, or too little tissue",
    "no_box": "an image without a box that it can be framed by, where dataset.framing asks for one",
    "small_class": "a class with no image, with a single one, with none to train on, or far smaller than the others",
}
"""What is looked for; each may be allowed by name."""


N_BESIDE = 4
"""Findings that are named beside one."""
STARVING = 20
"""A class so many times smaller than the median one starves a set in which all classes are to have equal numbers."""

WOULD_CUT = ": balancing by uniform_per_prompt would cut all to it"


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
    dataset = _Dataset(config, records, scan(config.source, records, work))
    checks = [dataset.unreadable, dataset.missing, dataset.duplicates, dataset.same_names]
    checks += [dataset.in_headers, dataset.straddling, dataset.resolution, dataset.boxes, dataset.small_classes]
    return len(records), [finding for check in checks for finding in check()]


def finding_counts(config: DatasetConfig) -> list[dict[str, object]]:
    """Of every finding how many images show it, how many show nothing else, and what comes with it most often."""
    if config.labels is None:
        return []
    labels, findings = listed_labels(list_records(config)[0], config)
    sets = [findings.of_label[label] for label in labels if label is not None]
    counts: dict[str, Counter[str]] = {name: Counter() for name in findings.names}
    for names in sets:
        for name in names:
            counts[name].update(names)
    rows: list[dict[str, object]] = (
        [{"finding": f"({findings.none})", "images": sets.count([])}] if findings.none else []
    )
    for name, beside in counts.items():
        n = beside.pop(name)
        often = ", ".join(f"{other} {n_both}" for other, n_both in beside.most_common(N_BESIDE))
        rows.append({"finding": name, "images": n, "alone": sets.count([name]), "together with": often})
    return rows


class _Dataset:
    """The records, and what the scan of their images showed; a method for each kind of check."""

    def __init__(self, config: DatasetConfig, records: list[Record], scanned: Scanned):
        self.config, self.records, self.scanned = config, records, scanned
        self.labels, self.findings = listed_labels(records, config)
        self.readable = np.flatnonzero(scanned["error"] == b"")
        heldout = [record.split in config.holdout.splits for record in records]
        validation = [record.split in config.validation.splits for record in records]
        self.splits = np.where(heldout, HELDOUT, np.where(validation, VALIDATION, TRAIN)).astype(np.int8)

    def unreadable(self) -> Iterator[Finding]:
        for row in np.flatnonzero(self.scanned["error"] != b""):
            text = self.scanned["error"][row].decode(errors="replace")
            yield Finding("unreadable", self.records[row].id, text, True)

    def missing(self) -> Iterator[Finding]:
        for record, label in zip(self.records, self.labels, strict=True):
            if label is None and self.config.is_labelled:
                text = f"nothing in column '{empty_column(record, self.config)}'"
                yield Finding("missing_label", record.id, text, True)
        for record in self.records if self.config.group else ():
            if value_text(record.metadata.get(str(self.config.group))) is None:
                yield Finding("missing_group", record.id, f"nothing in column '{self.config.group}'", True)

    def duplicates(self) -> Iterator[Finding]:
        copies: dict[bytes, list[int]] = defaultdict(list)
        for row, content in enumerate(self.scanned["sha256"].tolist()):
            if content:
                copies[content].append(row)
        for rows in copies.values():
            names = sorted({str(self.labels[row]) for row in rows})
            if len(names) > 1:
                text = f"labelled {' and '.join(names)} in {len(rows)} copies"
                yield from (Finding("conflicting_labels", self.records[row].id, text, True) for row in rows)
            else:
                text = f"the same pixels as {self.records[rows[0]].id}"
                yield from (Finding("duplicate", self.records[row].id, text, True) for row in rows[1:])

    def same_names(self) -> Iterator[Finding]:
        first_of: dict[str, str] = {}
        for record in self.records:
            first = first_of.setdefault(record.id.rpartition("/")[2], record.id)
            if first != record.id:
                text = f"the name of {first}; tools that flatten folders overwrite one"
                yield Finding("same_name", record.id, text, False)

    def in_headers(self) -> Iterator[Finding]:
        listed = {"", *(record.id for record in self.records)}
        yield from (Finding(*problem) for problem in self.config.source.problems() if problem[1] in listed)

    def straddling(self) -> Iterator[Finding]:
        """Only given splits can tear groups apart; drawn ones keep them together."""
        if not self.config.holdout.splits and not self.config.validation.splits:
            return
        if self.config.group is not None:
            group = self.config.group
            values = [value_text(record.metadata.get(group)) or f"of {record.id}" for record in self.records]
            groups = np.unique(values, return_inverse=True)[1]
            for row in np.flatnonzero(straddling(groups, self.splits)):
                text = f"{group} {values[row]} has images in several splits"
                yield Finding("straddling_group", self.records[row].id, text, bool(self.splits[row] == TRAIN))
        if self.config.near_duplicate_bits is not None:
            twins = near_duplicates(self.scanned["phash"][self.readable], self.config.near_duplicate_bits)
            for row in self.readable[straddling(twins, self.splits[self.readable])]:
                text = f"in {self.records[row].split or 'no split'}, nearly the same as one elsewhere"
                yield Finding("straddling_twin", self.records[row].id, text, bool(self.splits[row] == TRAIN))

    def resolution(self) -> Iterator[Finding]:
        if not len(self.readable):
            return
        sizes = np.stack([self.scanned["width"], self.scanned["height"]], 1)[self.readable]
        usual = np.median(sizes, axis=0)
        far = (np.abs(np.log2(sizes / usual)) > 1).any(1)
        for row, size in zip(self.readable[far], sizes[far], strict=True):
            text = f"{size[0]} x {size[1]} px, the median is {usual[0]:.0f} x {usual[1]:.0f}"
            yield Finding("resolution", self.records[row].id, text, True)

    def boxes(self) -> Iterator[Finding]:
        refused = unframed(self.config.framing, self.scanned, self.records, self.readable.tolist())
        yield from (Finding("no_box", image, error.message, True) for image, error in refused)

    def small_classes(self) -> Iterator[Finding]:
        if not self.config.is_labelled:
            return
        announced = self.config.source.classes(self.config.label) if self.config.label else []
        of_all = Counter(name for row in self.readable for name in self.findings.of(self.labels[row]))
        in_training = self.readable[self.splits[self.readable] == TRAIN]
        of_train = Counter(name for row in in_training for name in self.findings.of(self.labels[row]))
        usual = float(np.median([of_train[name] for name in of_all] or [0]))
        for name in sorted({*announced, *of_all}):
            n, n_train = of_all[name], of_train[name]
            if n < 2 or n_train == 0:
                text = f"class '{name}' has {n or 'no'} image{'s' * (n != 1)}, {n_train} to train on"
                yield Finding("small_class", "", text + (WOULD_CUT if 0 < n_train < usual else ""), False)
            elif n_train * STARVING <= usual:
                text = f"class '{name}' has {n_train} images to train on, the median class {usual:,.0f}"
                yield Finding("small_class", "", text + WOULD_CUT, False)
