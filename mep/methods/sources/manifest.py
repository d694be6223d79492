"""A table of paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mep.config import HashFile, LocalPath, fold
from mep.errors import DataError
from mep.machine.files import reading_utf8
from mep.methods.sources import Record, Row, Source
from mep.methods.sources._tree import csv_rows, inside

if TYPE_CHECKING:
    from PIL.Image import Image


class Manifest(Source):
    """A CSV or parquet file with a row an image: its path, and any further columns."""

    kind: Literal["manifest"]
    path: LocalPath
    """The table, relative to the recipe file; .parquet, anything else is read as CSV."""
    root: LocalPath | None = None
    """Folder that the paths start from. Default: the folder of the table. No image may lie outside it."""
    column: str = "path"
    """Column that holds the path."""
    split: str | None = None
    """Column that holds the split, where there is one."""

    def records(self) -> list[Record]:
        records: dict[str, Record] = {}
        for where, row in self._rows():
            image_id = self._id(self._taken(row, self.column, "column"), where)
            if image_id in records:
                raise DataError(f"{where}: {image_id} is named twice", hint="keep one row an image")
            split = self._taken(row, self.split, "split") if self.split else None
            records[image_id] = Record(image_id, "" if split is None else str(split), row)
        if missing := [image_id for image_id in records if not (self._root / image_id).is_file()]:
            raise DataError(
                f"{len(missing)} images of {self.path} are not there, the first is {self._root / missing[0]}",
                hint="root is the folder that the paths start from",
                field="dataset.source",
            )
        return [records[image_id] for image_id in sorted(records)]

    def _taken(self, row: Row, column: str, field: str) -> object:
        """The value of a column, which is taken out of the row."""
        if column not in row:
            raise DataError(
                f"{self.path} has no column '{column}'",
                hint=f"columns: {', '.join(map(str, row))}",
                field=f"dataset.source.{field}",
            )
        return row.pop(column)

    def open(self, image_id: str) -> Image:
        from PIL import Image

        return Image.open(self._root / image_id)

    def path_of(self, image_id: str) -> Path:
        return self._root / image_id

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        images = [(record.id, hash_file(self._root / record.id)) for record in self.records()]
        return {"table": hash_file(self.path), "content": fold(images)}

    @property
    def _root(self) -> Path:
        return self.root or self.path.parent

    def _id(self, path: object, where: str) -> str:
        if not isinstance(path, str) or not path:
            raise DataError(f"{where}: no path in column '{self.column}'", hint="fill it in, or remove the row")
        if Path(path).is_absolute() and Path(path).is_relative_to(self._root):
            path = Path(path).relative_to(self._root).as_posix()
        return inside(path, where)

    def _rows(self) -> Iterator[tuple[str, Row]]:
        """(file and line of a CSV, or file and row of a parquet; its columns)."""
        if self.path.suffix != ".parquet":
            with reading_utf8(self.path), self.path.open(newline="", encoding="utf-8-sig") as text:
                yield from csv_rows(text, str(self.path))
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{self.path} is no parquet file: {error}", hint="write it again, or give a CSV") from error
        rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
        yield from ((f"{self.path}:{number}", row) for number, row in enumerate(rows, 1))
