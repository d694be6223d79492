"""A table that was made elsewhere: a row an image, in a file that a spreadsheet or a data frame writes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.errors import DataError
from mep.machine.files import reading_utf8

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID_COLUMNS = ("id", "file_name", "image", "path")
"""What the column that names the image is mostly called; the first of these that is there is taken."""
N_NAMED = 3
"""Images that a message names."""
KEYS: tuple[Callable[[str], str], ...] = (
    str,
    lambda name: PurePosixPath(name).name,
    lambda name: PurePosixPath(name).stem,
)
"""What a row may call an image: its id, or where that is clear its file name, with its ending or without."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The rows of a table by the image that each is about.

    field       of the recipe, which errors point at
    ids         what the table calls the images, each once
    columns     name -> n values; lists, or columns of pyarrow, which are read where they are needed
    """

    path: Path
    field: str
    ids: list[str]
    columns: dict[str, Any]

    def column(self, name: str) -> list[Any]:
        """The values of a column; DataError where there is none of this name."""
        if name not in self.columns:
            raise DataError(
                f"{self.path} has no column '{name}'",
                hint=f"columns: {', '.join(self.columns) or 'none'}",
                field=f"{self.field}.column",
            )
        values = self.columns[name]
        return values if isinstance(values, list) else list(values.to_pylist())

    def vectors(self, patterns: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, d) of the columns that match patterns such as `f*`, in their order, or of the one of lists.

        DataError   no such column, several of lists and none named, lists of unlike length, what is no number
        """
        names = self._named(patterns) if patterns else self._of_lists()
        parts = [self._numbers(name) for name in names]
        return np.ascontiguousarray(np.column_stack(parts), dtype=np.float32)

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """int64 (n,) row of each image, -1 where the table has none.

        A row may also call an image by its file name alone, with its ending or without, where no two have the same.
        """
        for key in KEYS:
            row_of = {key(name): row for row, name in enumerate(self.ids)}
            wanted = [key(image_id) for image_id in ids]
            is_clear = key is str or (len(row_of) == len(self.ids) and len(set(wanted)) == len(ids))
            if is_clear and not row_of.keys().isdisjoint(wanted):
                return np.array([row_of.get(name, -1) for name in wanted], dtype=np.int64)
        return np.full(len(ids), -1, dtype=np.int64)

    def some_rows_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The same; DataError where the table has a row for none of the images."""
        rows = self.rows_of(ids)
        if (rows < 0).all():
            raise DataError(
                f"{self.path} has a row for none of the {len(ids)} images",
                hint=f"it names {named(self.ids) or 'none'}; the images are {named(ids)}",
                field=self.field,
            )
        return rows

    def strangers(self, ids: Sequence[str]) -> list[str]:
        """The images that no row can mean, whatever part of their names it gives."""
        keys = [(key, {key(name) for name in self.ids}) for key in KEYS]
        return [image_id for image_id in ids if not any(key(image_id) in called for key, called in keys)]

    def all_rows_of(self, ids: Sequence[str], what: str) -> NDArray[np.int64]:
        """The same; DataError where the table has none of an image, with how many and which these are."""
        rows = self.some_rows_of(ids)
        self.refuse_absent([ids[place] for place in np.flatnonzero(rows < 0).tolist()], len(ids), what)
        return rows

    def refuse_absent(self, absent: Sequence[str], n: int, what: str) -> None:
        """DataError where the table has none of some of n images."""
        if absent:
            raise DataError(
                f"{self.path} has no {what} of {len(absent)} of {n} images: {named(absent)}",
                hint="add their rows, or take these images out: dataset.exclude",
                field=self.field,
            )

    def _named(self, patterns: Sequence[str]) -> list[str]:
        names = [name for name in self.columns if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if unmet := [text for text in patterns if not any(fnmatchcase(name, text) for name in self.columns)]:
            raise DataError(
                f"{self.path} has no column '{unmet[0]}'",
                hint=f"columns: {', '.join(list(self.columns)[:20]) or 'none'}",
                field=f"{self.field}.columns",
            )
        return names

    def _of_lists(self) -> list[str]:
        from pyarrow import types

        lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        names = [
            name
            for name, values in self.columns.items()
            if not isinstance(values, list) and any(is_list(values.type) for is_list in lists)
        ]
        if len(names) != 1:
            found = f"{len(names)} columns hold lists: {', '.join(names)}" if names else "no column holds lists"
            raise DataError(
                f"which columns of {self.path} hold the vector? {found}",
                hint="name them in their order, * stands for any text: columns: [f*]",
                field=f"{self.field}.columns",
            )
        return names

    def _numbers(self, name: str) -> NDArray[np.float32]:
        values, field = self.columns[name], f"{self.field}.columns"
        try:
            if isinstance(values, list) or not hasattr(values.type, "value_type"):
                return np.asarray(self.column(name), dtype=np.float32)[:, None]
            flat = values.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            return np.asarray(flat, dtype=np.float32).reshape(len(self.ids), -1)
        except (TypeError, ValueError) as error:
            raise DataError(f"column '{name}' of {self.path} holds no vectors: {error}", field=field) from error


def named(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more


def value_text(value: object) -> str | None:
    """A value of a table as text, whole numbers without a fraction; None where there is none."""
    if value is None or value != value or (isinstance(value, str) and value.strip().lower() in ("", "nan")):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def text_of(value: object) -> str | None:
    """The same without blanks around it, as people type them."""
    text = value_text(value)
    return text if text is None else text.strip()


def read_table(path: Path, id_column: str | None, field: str) -> ImageTable:
    """A .parquet, .csv or .tsv with a row an image, or a .txt with the name of an image a line.

    DataError   a file that is not what its name says, no column that names the image, an image that has two rows
    """
    columns = _parquet(path, field) if path.suffix == ".parquet" else _text(path, field)
    name = id_column or next((name for name in ID_COLUMNS if name in columns), None)
    if name is None or name not in columns:
        wanted = f"column '{id_column}'" if id_column else f"column that names the image ({', '.join(ID_COLUMNS)})"
        raise DataError(
            f"{path} has no {wanted}", hint=f"columns: {', '.join(columns) or 'none'}; name it with id:", field=field
        )
    values = columns.pop(name)
    texts = [text_of(value) for value in (values if isinstance(values, list) else values.to_pylist())]
    if None in texts:
        raise DataError(f"{path}: row {texts.index(None) + 1} has nothing in column '{name}'", field=field)
    ids = [str(text) for text in texts]
    if twice := [name for name, n in Counter(ids).items() if n > 1]:
        raise DataError(f"{path} has several rows for {named(twice)}", hint="keep one row an image", field=field)
    return ImageTable(path, field, ids, columns)


def _text(path: Path, field: str) -> dict[str, Any]:
    with reading_utf8(path, field), path.open(newline="", encoding="utf-8-sig") as file:
        if path.suffix == ".txt":
            return {ID_COLUMNS[0]: [line.strip() for line in file if line.strip()]}
        reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        columns: dict[str, Any] = {name: [] for name in reader.fieldnames or ()}
        for number, row in enumerate(reader, 2):
            if None in row or None in row.values():
                hint = "quote values with commas"
                raise DataError(f"{path}:{number}: not as many values as columns", hint=hint, field=field)
            for name, values in columns.items():
                values.append(row[name])
    return columns


def _parquet(path: Path, field: str) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} is no parquet file: {error}", hint="write it again, or give a CSV", field=field
        ) from error
    return dict(zip(table.column_names, table.columns, strict=True))
