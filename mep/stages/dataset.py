"""Dataset: list the images, decode each once, read the labels, set the held-out part aside."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Images
from mep.config import Config
from mep.errors import DataError
from mep.pixels import to_rgb
from mep.registry import OneOf
from mep.sources import Record, Source
from mep.stage import Work, stage


class HoldoutConfig(Config):
    """Which images only metrics may see: those of given splits, or a fraction of all."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are held out; every other split is trained on."""
    fraction: float | None = Field(None, gt=0, lt=1)
    """Share of the images of every label, drawn by the recipe's seed. Default 0.2 where no split is named."""

    @model_validator(mode="after")
    def _one_way(self) -> "HoldoutConfig":
        if self.splits and self.fraction is not None:
            raise ValueError("name splits or a fraction, not both")
        return self


class ValidationConfig(Config):
    """Which images are never fitted on, but embedded, assigned to clusters and watched while training."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are for validation."""
    fraction: float = Field(0.0, ge=0, lt=1)
    """Share of the images of every label that are not held out, drawn by the recipe's seed. 0: none."""

    @model_validator(mode="after")
    def _one_way(self) -> "ValidationConfig":
        if self.splits and self.fraction:
            raise ValueError("name splits or a fraction, not both")
        return self


class DatasetConfig(Config):
    """Where the images come from, what labels them, and which are held out."""

    source: OneOf[Source]
    label: str | None = None
    """Metadata column that holds the label; null for a dataset without labels."""
    group: str | None = None
    """Metadata column, a slide or a patient say, whose images stay on one side of the held-out split."""
    holdout: HoldoutConfig = HoldoutConfig()
    """The part that only metrics may see."""
    validation: ValidationConfig = ValidationConfig()
    """The part on which training is watched and guidance is chosen."""


@stage(version=2, draws=True)
def dataset(config: DatasetConfig, *, work: Work) -> Images:
    """List and decode the images, read labels, set the held-out part aside."""
    records = config.source.records()
    if len(records) < 2:
        found = "no image" if not records else f"one image only, {records[0].id}"
        raise DataError(f"the dataset holds {found}", hint="at least two are needed", field="dataset.source")
    labels, label_names = _labels(records, config.label)
    splits = _split(records, labels, config, work)
    digests, sizes = _decode(records, config.source, work)
    columns: dict[str, None] = {name: None for record in records for name in record.metadata}
    metadata = {name: _column([record.metadata.get(name) for record in records]) for name in columns}
    return Images(
        ids=[record.id for record in records],
        labels=labels,
        label_names=label_names,
        splits=splits,
        sha256=digests,
        sizes=sizes,
        metadata=metadata,
        source=config.source,
        group=config.group,
    )


def _labels(records: list[Record], column: str | None) -> tuple[NDArray[np.int64], list[str]]:
    if column is None:
        return np.full(len(records), -1, dtype=np.int64), []
    known = sorted({name for record in records for name in record.metadata})
    if column not in known:
        raise DataError(
            f"the dataset has no column '{column}'",
            hint=f"columns: {', '.join(known) or 'none; add a metadata.jsonl beside the images'}",
            field="dataset.label",
        )
    texts = []
    for record in records:
        value = record.metadata.get(column)
        if value is None or value == "" or value != value:
            raise DataError(
                f"{record.id} has no label in column '{column}'", hint="label it or take it out", field="dataset.label"
            )
        texts.append(str(value))
    names = sorted(set(texts))
    position = {name: index for index, name in enumerate(names)}
    return np.array([position[text] for text in texts], dtype=np.int64), names


def _split(records: list[Record], labels: NDArray[np.int64], config: DatasetConfig, work: Work) -> NDArray[np.int8]:
    """int8 (n,) split of every image: the held-out part first, then validation from what is left, whole groups each."""
    groups = _groups(records, config.group)
    if config.holdout.splits:
        heldout = _in_splits(records, config.holdout.splits, "dataset.holdout.splits")
    else:
        heldout = _draw_groups(labels, groups, config.holdout.fraction or 0.2, work.rng("holdout"))
    _refuse_empty_side(heldout, "held-out", "dataset.holdout")
    splits = np.where(heldout, HELDOUT, TRAIN).astype(np.int8)
    rest = np.flatnonzero(~heldout)
    if config.validation.splits:
        chosen = _in_splits(records, config.validation.splits, "dataset.validation.splits")[rest]
    elif config.validation.fraction:
        numbers = np.unique(groups[rest], return_inverse=True)[1]
        chosen = _draw_groups(labels[rest], numbers, config.validation.fraction, work.rng("validation"))
    else:
        return splits
    _refuse_empty_side(chosen, "validation", "dataset.validation")
    splits[rest[chosen]] = VALIDATION
    return splits


def _in_splits(records: list[Record], names: tuple[str, ...], field: str) -> NDArray[np.bool_]:
    known = sorted({record.split for record in records} - {""})
    for name in names:
        if name not in known:
            raise DataError(
                f"the dataset has no split '{name}'",
                hint=f"splits: {', '.join(known) or 'none; use a fraction, as in {fraction: 0.2}'}",
                field=field,
            )
    return np.array([record.split in names for record in records])


def _refuse_empty_side(chosen: NDArray[np.bool_], name: str, field: str) -> None:
    if chosen.all() or not chosen.any():
        side = "training" if chosen.all() else name
        raise DataError(f"the split leaves no {side} image", hint="change the fraction", field=field)


def _groups(records: list[Record], column: str | None) -> NDArray[np.int64]:
    """int64 (n,) number of each image's group; every image is its own where no column is named."""
    if column is None:
        return np.arange(len(records))
    if column not in {name for record in records for name in record.metadata}:
        raise DataError(f"the dataset has no column '{column}'", field="dataset.group")
    return np.unique([str(record.metadata.get(column)) for record in records], return_inverse=True)[1]


def _draw_groups(
    labels: NDArray[np.int64], groups: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Whole groups in random order, each taken when it brings the held-out count of its labels nearer to the share."""
    n_labels = int(labels.max()) + 2  # label -1 counts as one of its own
    counts = np.zeros((int(groups.max()) + 1, n_labels))
    np.add.at(counts, (groups, labels + 1), 1)
    missing = counts.sum(0) * fraction
    taken = np.zeros(len(counts), dtype=bool)
    for group in rng.permutation(len(counts)):
        if np.abs(missing - counts[group]).sum() < np.abs(missing).sum():
            missing = missing - counts[group]
            taken[group] = True
    return taken[groups]


def _decode(records: list[Record], source: Source, work: Work) -> tuple[list[str], NDArray[np.int64]]:
    """Digest of the RGB pixels and size of every image; a file that does not decode ends the stage."""

    def inspect(record: Record) -> tuple[str, tuple[int, int]]:
        try:
            pixels = to_rgb(source.open(record.id))
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and more on bad files
            raise DataError(
                f"{record.id} does not decode: {error}", hint="replace the file or take it out", field="dataset.source"
            ) from error
        header = f"{pixels.shape[1]}x{pixels.shape[0]}:".encode()
        return hashlib.sha256(header + pixels.tobytes()).hexdigest(), (pixels.shape[1], pixels.shape[0])

    found = []
    for done, one in enumerate(work.map(inspect, records), 1):
        found.append(one)
        work.progress.update(done, len(records))
    return [digest for digest, _ in found], np.array([size for _, size in found], dtype=np.int64)


def _column(values: list[Any]) -> list[Any]:
    """Values of one type, so that the column can be stored: as they are, or all as text."""
    kinds = {type(value) for value in values if value is not None}
    return values if len(kinds) <= 1 else [None if value is None else str(value) for value in values]
