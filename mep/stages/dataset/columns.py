"""Metadata columns of the records: groups, steps of numbers, and all of them as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.base import Table
from mep.errors import DataError, guess
from mep.machine.tables import value_text
from mep.methods.sources import Record


def require_column(
    records: Sequence[Record], column: str, field: str, if_none: str = "none", whose: str = "the dataset"
) -> None:
    """DataError: no record has the column; `if_none` is what the hint says when there is no column at all."""
    columns = sorted({name for record in records for name in record.metadata})
    if column not in columns:
        raise DataError(
            f"{whose} has no column '{column}'",
            hint=f"{guess(column, columns)}columns: {', '.join(columns) or if_none}",
            field=field,
        )


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
            | {
                name: step_of(record.metadata[name], width, (record.id, name), "dataset.columns")
                for name, width in widths.items()
                if name in record.metadata
            },
        )
        for record in records
    ]


def step_of(value: object, width: float, place: tuple[str, str], field: str) -> str | None:
    """The step that a number lies in, None for a value that is missing; DataError for one that is no number.

    place   image and column, for the message; field of the recipe that asks for steps
    """
    text = value_text(value)
    if text is None:
        return None
    try:
        first = math.floor(float(text) / width + 1e-9) * width
    except (ValueError, OverflowError) as error:
        image, column = place
        raise DataError(
            f"{image} has {text} in column '{column}', which is no number",
            hint=f"name the column without a width: {field.rpartition('.')[2]}: [{column}]",
            field=field,
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
