"""Metadata columns of the records: labels, groups, and all of them as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import Table
from mep.errors import DataError
from mep.machine.tables import value_text
from mep.methods.sources import Record


def require_column(records: Sequence[Record], column: str, field: str, if_none: str = "none") -> None:
    """DataError: no record has the column; `if_none` is what the hint says when there is no column at all."""
    columns = sorted({name for record in records for name in record.metadata})
    if column not in columns:
        raise DataError(
            f"the dataset has no column '{column}'", hint=f"columns: {', '.join(columns) or if_none}", field=field
        )


def label_texts(records: Sequence[Record], column: str) -> list[str | None]:
    """The label of every record, None where it has none; DataError where it has several."""
    values = [record.metadata.get(column) for record in records]
    if several := [value for value in values if isinstance(value, list | dict)]:
        raise DataError(
            f"a label is {str(several[0])[:60]}, not one name",
            hint="give every image one label, or name another column",
            field="dataset.label",
        )
    return [value_text(value) for value in values]


def label_numbers(records: Sequence[Record], column: str | None) -> tuple[NDArray[np.int64], list[str]]:
    """int64 (n,) number of every record's label, -1 without a column, and the names; DataError where one has none."""
    if column is None:
        return np.full(len(records), -1, dtype=np.int64), []
    require_column(records, column, "dataset.label", if_none="none; add a metadata.jsonl beside the images")
    texts = label_texts(records, column)
    missing = [record.id for record, text in zip(records, texts, strict=True) if text is None]
    if missing:
        more = f" ({len(missing)} images)" if len(missing) > 1 else ""
        raise DataError(
            f"{missing[0]} has no label in column '{column}'{more}",
            hint="label it, or take it out: mep lint RECIPE --fix exclude.txt",
            field="dataset.label",
        )
    distinct = {text for text in texts if text is not None}
    names = sorted(distinct, key=int) if all(name.isdecimal() for name in distinct) else sorted(distinct)
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[str(text)] for text in texts], dtype=np.int64), names


def group_numbers(records: Sequence[Record], column: str | None) -> NDArray[np.int64]:
    """int64 (n,) number of each image's group, its own without a column; DataError where one has none."""
    if column is None:
        return np.arange(len(records))
    names = [value_text(record.metadata.get(column)) for record in records]
    if n_missing := names.count(None):
        raise DataError(
            f"{records[names.index(None)].id} has no {column} ({n_missing} images): its side of the split is not known",
            hint=f"fill in the column '{column}', or take them out: mep lint RECIPE --fix exclude.txt",
            field="dataset.group",
        )
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def in_steps(records: Sequence[Record], widths: Mapping[str, float]) -> list[Record]:
    """The records with the numbers of some columns as the steps that they lie in: 61 in steps of 10 is `60 to 69`.

    widths      width of a step by column; steps begin at whole multiples of it

    DataError   a value that is no number; one that is missing stays missing
    """
    return [
        replace(
            record,
            metadata=record.metadata
            | {name: _step(record, name, width) for name, width in widths.items() if name in record.metadata},
        )
        for record in records
    ]


def _step(record: Record, column: str, width: float) -> str | None:
    text = value_text(record.metadata[column])
    if text is None:
        return None
    try:
        first = math.floor(float(text) / width + 1e-9) * width
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{record.id} has {text} in column '{column}', which is no number",
            hint=f"name the column without a width: columns: [{column}]",
            field="dataset.columns",
        ) from error
    if float(width).is_integer():
        return f"{first:.0f} to {first + width - 1:.0f}" if width > 1 else f"{first:.0f}"
    return f"{first:.6g} to {first + width:.6g}"


def metadata_table(records: Sequence[Record]) -> Table:
    """Every metadata column as one list, of values of one type so that it can be stored: as they are, or as text."""
    names = dict.fromkeys(name for record in records for name in record.metadata)
    table = {name: [record.metadata.get(name) for record in records] for name in names}
    for name, values in table.items():
        if len({type(value) for value in values if value is not None}) > 1:
            table[name] = [None if value is None else str(value) for value in values]
    return table
