"""A table of paths."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from mep.config import HashFile, LocalPath, fold
from mep.errors import DataError
from mep.machine.files import reading_utf8
from mep.methods.sources import Record, Source
from mep.methods.sources._tree import csv_rows, inside


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
        for number, row in self._rows():
            where = f"{self.path}:{number}"
            for column in filter(None, (self.column, self.split)):
                if column not in row:
                    raise DataError(
                        f"{self.path} has no column '{column}'",
                        hint=f"columns: {', '.join(map(str, row))}",
                        field="dataset.source.column" if column == self.column else "dataset.source.split",
                    )
            image_id = self._id(row.pop(self.column), where)
            if image_id in records:
                raise DataError(f"{where}: {image_id} is named twice", hint="keep one row an image")
            split = row.pop(self.split) if self.split else ""
            records[image_id] = Record(image_id, "" if split is None else str(split), row)
        missing = [image_id for image_id in records if not (self._root / image_id).is_file()]
        if missing:
            raise DataError(
                f"{len(missing)} images of {self.path} are not there, the first is {self._root / missing[0]}",
                hint="root is the folder that the paths start from",
                field="dataset.source",
            )
        return [records[image_id] for image_id in sorted(records)]

    def open(self, image_id: str) -> Image.Image:
        return Image.open(self._root / image_id)

    def path_of(self, image_id: str) -> Path:
        return self._root / image_id

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        images = [(record.id, hash_file(self._root / record.id)) for record in self.records()]
        return {"table": hash_file(self.path), "content": fold(images)}

    @property
    def _root(self) -> Path:
        return self.root or self.path.parent

    def _id(self, path: Any, where: str) -> str:
        if not isinstance(path, str) or not path:
            raise DataError(f"{where}: no path in column '{self.column}'", hint="fill it in, or remove the row")
        if Path(path).is_absolute() and Path(path).is_relative_to(self._root):
            path = Path(path).relative_to(self._root).as_posix()
        return inside(path, where)

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line of a CSV file or row of a parquet file, its columns)."""
        if self.path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            try:
                file = pq.ParquetFile(self.path)
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(
                    f"{self.path} is no parquet file: {error}", hint="write it again, or give a CSV"
                ) from error
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            yield from enumerate(rows, 1)
            return
        with reading_utf8(self.path), self.path.open(newline="", encoding="utf-8-sig") as text:
            yield from csv_rows(text, str(self.path))
