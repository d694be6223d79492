"""Dataset: list the images, decode each once, read the labels, set the held-out part aside."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from mep.artifacts import Images
from mep.config import Config, HashFile, LocalPath
from mep.errors import DataError
from mep.machine.files import reading_utf8
from mep.machine.work import Work
from mep.methods.framings import Framing
from mep.methods.framings.crop import Crop
from mep.methods.sources import Record, Source
from mep.methods.sources._endings import advice, no_image
from mep.registry import OneOf
from mep.stage import stage
from mep.stages.dataset.columns import Columns, in_steps, metadata_table, names_of, require_column, widths_of
from mep.stages.dataset.labels import LabelsConfig, read_labels
from mep.stages.dataset.scan import Scanned, full_window, near_duplicates, refuse_unreadable, scan
from mep.stages.dataset.split import split_images, straddling


class _SideConfig(Config):
    splits: tuple[str, ...] = ()
    fraction: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.splits and self.fraction:
            raise ValueError("name splits or a fraction, not both")
        return self


class HoldoutConfig(_SideConfig):
    """Which images only metrics may see: those of given splits, or a fraction of all."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are held out; every other split is trained on."""
    fraction: float | None = Field(None, gt=0, lt=1)
    """Share of the images of every label, drawn by the recipe's seed. Default 0.2 where no split is named."""


class ValidationConfig(_SideConfig):
    """Which images are never fitted on, but embedded, assigned to clusters and watched while training."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are for validation."""
    fraction: float = Field(0.0, ge=0, lt=1)
    """Share of the images of every label that are not held out, drawn by the recipe's seed. 0: none."""


class DatasetConfig(Config):
    """Where the images come from, what labels them, and which are held out."""

    later: ClassVar[tuple[str, ...]] = ("labels", "framing")
    source: OneOf[Source]
    label: str | None = None
    """Metadata column that holds the label; null for a dataset without labels."""
    labels: LabelsConfig | None = None
    """In the place of `label`, where an image may show several findings, or none: {columns: [effusion, mass]}, or
    {column: findings, separator: "|"}. All findings of an image together are its label: `effusion and mass`."""
    group: str | None = None
    """Metadata column, a slide or a patient say, whose images stay on one side of the held-out split."""
    columns: Columns = ()
    """Further metadata columns that captions ({age}) and balancing (by: [sex, cluster]) use. Every column is kept;
    those named here are checked when the dataset is read, not hours later. [sex, {age: 10}] cuts numbers into steps of
    a width: 61 becomes `60 to 69`."""
    truth: str | None = None
    """Metadata column of what is known to show in the images, such as a stain's density or a grade: captions of the
    positive control name it ({truth}). Numbers are cut into ten steps of equal count, other values stay as they are."""
    exclude: LocalPath | None = None
    """Text file with the id of an image a line that is left out; `mep lint --fix` writes one."""
    near_duplicate_bits: int | None = Field(4, ge=0, le=16)
    """Images whose perceptual hashes differ in at most so many of 64 bits stay on one side of a drawn split. Null: they
    may be torn apart."""
    window: tuple[float, ...] | None = Field(None, min_length=2, max_length=2)
    """Black and white of grey with more than 8 bits. Default: from 0 to the smallest bit depth that holds every value
    of the dataset, so that nothing is clipped; a narrower window clips what lies outside."""
    framing: OneOf[Framing] = Crop(kind="crop")
    """Which square of an image is seen, by embedder, model and metrics alike. Default: the largest one in its
    centre."""
    holdout: HoldoutConfig = HoldoutConfig()
    """The part that only metrics may see."""
    validation: ValidationConfig = ValidationConfig()
    """The part on which training is watched and guidance is chosen."""

    @property
    def steps(self) -> dict[str, float]:
        """Width of the steps of each column of numbers that is cut into steps."""
        return widths_of(self.columns)

    @property
    def column_names(self) -> list[str]:
        return names_of(self.columns)

    @model_validator(mode="after")
    def _one_way_to_label(self) -> Self:
        if self.label is not None and self.labels is not None:
            raise ValueError("name label (one an image) or labels (several), not both")
        return self

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.window is not None:
            object.__setattr__(self, "source", self.source.windowed())  # frozen, but for whoever builds it
        return self

    @property
    def is_labelled(self) -> bool:
        return self.label is not None or self.labels is not None

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {} if self.exclude is None else {"exclude": hash_file(self.exclude)}


@stage(version=6, draws=True)
def dataset(config: DatasetConfig, *, work: Work) -> Images:
    """List and decode the images, read labels, set the held-out part aside."""
    records, n_excluded = list_records(config)
    labels, label_names, findings = read_labels(records, config)
    named = [("group", config.group), ("truth", config.truth), *(("columns", column) for column in config.column_names)]
    named += [("framing", column) for column in config.framing.columns_read]
    for field, column in named:
        if column is not None:
            require_column(records, column, f"dataset.{field}")
    records = in_steps(records, config.steps)
    scanned = scan(config.source, records, work)
    refuse_unreadable(scanned, records)
    refuse_unframed(config.framing, scanned, records)
    twins = np.arange(len(scanned))
    if config.near_duplicate_bits is not None:
        twins = near_duplicates(scanned["phash"], config.near_duplicate_bits)
    stratum = findings.shown(label_names)[labels] if findings else labels
    splits = split_images(records, stratum, twins, config, work)
    modes, counts = np.unique(scanned["mode"], return_counts=True)
    full = full_window(scanned)
    window = (config.window or full) if full else None
    return Images(
        ids=[record.id for record in records],
        labels=labels,
        label_names=label_names,
        splits=splits,
        sha256=[digest.decode() for digest in scanned["sha256"].tolist()],
        sizes=np.stack([scanned["width"], scanned["height"]], 1).astype(np.int64),
        metadata=metadata_table(records),
        source=config.source,
        group=config.group,
        truth=config.truth,
        pixels={
            "window": list(window) if window else None,
            "modes": {mode.decode(): int(n) for mode, n in zip(modes, counts, strict=True)},
            "near_duplicates": int((np.bincount(twins)[twins] > 1).sum()),
            "straddling": int(straddling(twins, splits).sum()),
            "excluded": n_excluded,
        },
        findings=findings,
        framing=config.framing if config.framing.frames else None,
    )


def refuse_unframed(framing: Framing, scanned: Scanned, records: list[Record]) -> None:
    """DataError: the first image that cannot be framed as its metadata say, and how many there are."""
    refused = list(unframed(framing, scanned, records, range(len(records))))
    if refused:
        name, first = refused[0]
        more = f" ({len(refused)} images)" if len(refused) > 1 else ""
        raise DataError(f"{name} {first.message}{more}", hint=first.hint, field=first.field)


def unframed(
    framing: Framing, scanned: Scanned, records: list[Record], rows: Iterable[int]
) -> Iterator[tuple[str, DataError]]:
    """Images that cannot be framed as their metadata say, and why."""
    for row in rows:
        try:
            framing.side(int(scanned["width"][row]), int(scanned["height"][row]), records[row].metadata)
        except DataError as error:
            yield records[row].id, error


def list_records(config: DatasetConfig) -> tuple[list[Record], int]:
    """The records that are not excluded, at least two, and how many were excluded."""
    listed = config.source.records()
    excluded: set[str] = set()
    if config.exclude is not None:
        with reading_utf8(config.exclude, field="dataset.exclude"):
            excluded = set(config.exclude.read_text(encoding="utf-8-sig").splitlines())
    records = [record for record in listed if record.id not in excluded]
    if len(records) < 2:
        endings = Counter() if listed else config.source.endings()
        content = no_image(endings) if not records else f"one image only, {records[0].id}"
        hint = advice(endings) if endings else "at least two are needed"
        raise DataError(f"the dataset holds {content}", hint=hint, field="dataset.source")
    return records, len(listed) - len(records)
