"""Dataset: list the images, decode each once, read the labels, set the held-out part aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Images
from mep.config import Config, HashFile, LocalPath
from mep.errors import DataError
from mep.machine.files import reading_utf8
from mep.machine.work import Work
from mep.methods.sources import Record, Source
from mep.registry import OneOf
from mep.stage import stage
from mep.stages.dataset.scan import near_duplicates, scan, window
from mep.stages.dataset.split import draw_groups, joined, straddling

if TYPE_CHECKING:
    from numpy.typing import NDArray


class HoldoutConfig(Config):
    """Which images only metrics may see: those of given splits, or a fraction of all."""

    splits: tuple[str, ...] = ()
    """Splits of the source that are held out; every other split is trained on."""
    fraction: float | None = Field(None, gt=0, lt=1)
    """Share of the images of every label, drawn by the recipe's seed. Default 0.2 where no split is named."""

    @model_validator(mode="after")
    def _one_way(self) -> HoldoutConfig:
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
    def _one_way(self) -> ValidationConfig:
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
    columns: tuple[str, ...] = ()
    """Further metadata columns that captions ({age}) and balancing (by: [sex, cluster]) use. Every column is kept;
    those named here are checked when the dataset is read, not hours later."""
    exclude: LocalPath | None = None
    """Text file with the id of an image a line that is left out; `mep lint --fix` writes one."""
    near_duplicate_bits: int | None = Field(4, ge=0, le=16)
    """Images whose perceptual hashes differ in at most so many of 64 bits stay on one side of a drawn split. Null: they
    may be torn apart."""
    window: tuple[float, ...] | None = Field(None, min_length=2, max_length=2)
    """Black and white of grey with more than 8 bits. Default: from 0 to the smallest bit depth that holds every value
    of the dataset, so that nothing is clipped; a narrower window clips what lies outside."""
    holdout: HoldoutConfig = HoldoutConfig()
    """The part that only metrics may see."""
    validation: ValidationConfig = ValidationConfig()
    """The part on which training is watched and guidance is chosen."""

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {} if self.exclude is None else {"exclude": hash_file(self.exclude)}


@stage(version=5, draws=True)
def dataset(config: DatasetConfig, *, work: Work) -> Images:
    """List and decode the images, read labels, set the held-out part aside."""
    records, n_excluded = records_of(config)
    labels, label_names = _labels(records, config.label)
    for column in filter(None, (config.group, *config.columns)):
        _check_column(records, column, "dataset.group" if column == config.group else "dataset.columns")
    found = scan(config.source, records, work)
    _refuse_unreadable(found, records)
    twins = _twins(found, config)
    splits = split(records, labels, twins, config, work)
    return Images(
        ids=[record.id for record in records],
        labels=labels,
        label_names=label_names,
        splits=splits,
        sha256=[digest.decode() for digest in found["sha256"].tolist()],
        sizes=np.stack([found["width"], found["height"]], 1).astype(np.int64),
        metadata=_table(records),
        source=config.source,
        group=config.group,
        pixels=_pixels(found, twins, splits, n_excluded, config),
    )


def records_of(config: DatasetConfig) -> tuple[list[Record], int]:
    """The records that are not excluded, at least two, and how many were excluded."""
    records = config.source.records()
    n_excluded = 0
    if config.exclude is not None:
        with reading_utf8(config.exclude, field="dataset.exclude"):
            out = set(config.exclude.read_text(encoding="utf-8-sig").splitlines())
        n_excluded = sum(record.id in out for record in records)
        records = [record for record in records if record.id not in out]
    if len(records) < 2:
        found = "no image" if not records else f"one image only, {records[0].id}"
        raise DataError(f"the dataset holds {found}", hint="at least two are needed", field="dataset.source")
    return records, n_excluded


def label_text(value: Any) -> str | None:
    """The name of a label; None where there is none."""
    if value is None or value != value or (isinstance(value, str) and value.strip().lower() in ("", "nan")):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def label_texts(records: list[Record], column: str) -> list[str | None]:
    """The label of every record; None where it has none.

    DataError   one has several
    """
    values = [record.metadata.get(column) for record in records]
    if several := [value for value in values if isinstance(value, list | dict)]:
        raise DataError(
            f"a label is {str(several[0])[:60]}, not one name",
            hint="give every image one label, or name another column",
            field="dataset.label",
        )
    return [label_text(value) for value in values]


def _labels(records: list[Record], column: str | None) -> tuple[NDArray[np.int64], list[str]]:
    if column is None:
        return np.full(len(records), -1, dtype=np.int64), []
    _check_column(records, column, "dataset.label", hint="none; add a metadata.jsonl beside the images")
    texts = label_texts(records, column)
    missing = [record.id for record, text in zip(records, texts, strict=True) if text is None]
    if missing:
        more = f" ({len(missing)} images)" if len(missing) > 1 else ""
        raise DataError(
            f"{missing[0]} has no label in column '{column}'{more}",
            hint="label it, or take it out: mep lint RECIPE --fix exclude.txt",
            field="dataset.label",
        )
    known = {text for text in texts if text is not None}
    names = sorted(known, key=int) if all(name.isdecimal() for name in known) else sorted(known)
    position = {name: index for index, name in enumerate(names)}
    return np.array([position[str(text)] for text in texts], dtype=np.int64), names


def _check_column(records: list[Record], column: str, field: str, hint: str = "none") -> None:
    if column not in (known := sorted({name for record in records for name in record.metadata})):
        raise DataError(
            f"the dataset has no column '{column}'", hint=f"columns: {', '.join(known) or hint}", field=field
        )


def _refuse_unreadable(found: NDArray[Any], records: list[Record]) -> None:
    bad = np.flatnonzero(found["error"] != b"")
    if len(bad):
        more = f", nor do {len(bad) - 1} others" if len(bad) > 1 else ""
        why = found["error"][bad[0]].decode(errors="replace")
        raise DataError(
            f"{records[bad[0]].id} does not decode: {why}{more}",
            hint="see all with: mep lint RECIPE; leave them out with --fix exclude.txt",
            field="dataset.source",
        )


def _twins(found: NDArray[Any], config: DatasetConfig) -> NDArray[np.int64]:
    """int64 (n,) number of the group of near duplicates of each image."""
    if config.near_duplicate_bits is None:
        return np.arange(len(found))
    return near_duplicates(found["phash"], config.near_duplicate_bits)


def split(
    records: list[Record], labels: NDArray[np.int64], twins: NDArray[np.int64], config: DatasetConfig, work: Work
) -> NDArray[np.int8]:
    """int8 (n,) split of every image: the held-out part first, then validation from what is left, whole groups each."""
    named = _groups(records, config.group)
    groups = joined(named, twins)
    if config.holdout.splits:
        heldout = _in_splits(records, config.holdout.splits, "dataset.holdout.splits")
    elif groups.max() == 0:
        raise DataError(
            f"all {len(records)} images are near duplicates of each other or of one group: none can be set aside",
            hint="look at the images; near_duplicate_bits: null ignores how like they are",
            field="dataset.near_duplicate_bits",
        )
    else:
        heldout = draw_groups(labels, groups, config.holdout.fraction or 0.2, work.rng("holdout"))
    _refuse_empty_side(heldout, "held-out", "dataset.holdout")
    splits = np.where(heldout, HELDOUT, TRAIN).astype(np.int8)
    rest = np.flatnonzero(~heldout)
    chosen = None
    if config.validation.splits:
        chosen = _in_splits(records, config.validation.splits, "dataset.validation.splits")[rest]
    elif config.validation.fraction:
        numbers = np.unique(groups[rest], return_inverse=True)[1]
        chosen = draw_groups(labels[rest], numbers, config.validation.fraction, work.rng("validation"))
    if chosen is not None:
        _refuse_empty_side(chosen, "validation", "dataset.validation")
        splits[rest[chosen]] = VALIDATION
    if config.group is not None and (torn := np.flatnonzero(straddling(named, splits))).size:
        raise DataError(
            f"{config.group} {records[torn[0]].metadata[config.group]} lies in several of the given splits"
            f" ({len(torn)} images of such groups)",
            hint="split by fraction, or leave the images out: mep lint RECIPE --fix exclude.txt",
            field="dataset.group",
        )
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
    names = [label_text(record.metadata.get(column)) for record in records]
    if missing := names.count(None):
        raise DataError(
            f"{records[names.index(None)].id} has no {column} ({missing} images): its side of the split is not known",
            hint=f"fill in the column '{column}', or take them out: mep lint RECIPE --fix exclude.txt",
            field="dataset.group",
        )
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def _pixels(
    found: NDArray[Any], twins: NDArray[np.int64], splits: NDArray[np.int8], n_excluded: int, config: DatasetConfig
) -> dict[str, Any]:
    """What `Images.pixels` holds."""
    modes, counts = np.unique(found["mode"], return_counts=True)
    chosen = (window(found) and config.window) or window(found)
    return {
        "window": list(chosen) if chosen else None,
        "modes": {mode.decode(): int(n) for mode, n in zip(modes, counts, strict=True)},
        "near_duplicates": int((np.bincount(twins)[twins] > 1).sum()),
        "straddling": int(straddling(twins, splits).sum()),
        "excluded": n_excluded,
    }


def _table(records: list[Record]) -> dict[str, list[Any]]:
    """Every metadata column as one list."""
    columns = dict.fromkeys(name for record in records for name in record.metadata)
    return {name: _of_one_type([record.metadata.get(name) for record in records]) for name in columns}


def _of_one_type(values: list[Any]) -> list[Any]:
    """Values of one type, so that the column can be stored: as they are, or all as text."""
    kinds = {type(value) for value in values if value is not None}
    return values if len(kinds) <= 1 else [None if value is None else str(value) for value in values]
