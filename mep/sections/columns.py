"""What a recipe says of metadata columns: as they are, or numbers in steps."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mep.config import by_shape


def _names_or_widths(columns: object) -> object:
    for column in columns if isinstance(columns, list | tuple) else ():
        widths = column.values() if isinstance(column, dict) else [1]
        is_width = all(isinstance(width, int | float) and width > 0 for width in widths)
        if not (isinstance(column, str | dict) and is_width):
            raise ValueError("a column is a name, or {name: width}, a width above 0")
    return columns


Column = Annotated[
    Annotated[str, Tag("plain")] | Annotated[dict[str, Annotated[float, Field(gt=0)]], Tag("section")],
    Discriminator(by_shape),
]
"""A column as it is, or {column: width of the steps that its numbers are cut into}."""
Columns: TypeAlias = Annotated[tuple[Column, ...], BeforeValidator(_names_or_widths)]


def widths_of(columns: Sequence[Column]) -> dict[str, float]:
    """Width of the steps of each column that is cut into steps."""
    return {name: width for column in columns if isinstance(column, dict) for name, width in column.items()}


def names_of(columns: Sequence[Column]) -> list[str]:
    return [name for column in columns for name in (column if isinstance(column, dict) else [column])]
