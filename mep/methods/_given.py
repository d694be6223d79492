"""What was said of every image elsewhere: in a column of the dataset, or in a table beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mep.config import Config, HashFile, LocalPath
from mep.errors import DataError
from mep.machine.tables import read_table, text_of

if TYPE_CHECKING:
    from mep.artifacts import Images


class FromTable(Config):
    """A method that reads a table. Without a path it reads the columns of the dataset."""

    path: LocalPath | None = None
    """Table with a row an image, relative to the recipe file: .csv, .tsv, .parquet. Default: the dataset's columns."""
    id: str | None = None
    """Column of the table that names the image: its path below the dataset's folder, or its file name where no two
    have the same. Default: id, file_name, image or path, the first that is there."""

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {} if self.path is None else {"table": hash_file(self.path)}


def said_of(images: Images, path: Path | None, id_column: str | None, column: str, field: str) -> list[str | None]:
    """What a column says of each image, None where it says nothing.

    DataError   no such column, or a table that has a row for none of the images
    """
    if path is not None:
        table = read_table(path, id_column, field)
        values = table.column(column)
        return [None if row < 0 else text_of(values[row]) for row in table.some_rows_of(images.ids).tolist()]
    if column not in images.metadata:
        raise DataError(
            f"the dataset has no column '{column}'",
            hint=f"columns: {', '.join(sorted(images.metadata)) or 'none'}; of a table beside it: path",
            field=f"{field}.column",
        )
    return [text_of(value) for value in images.metadata[column]]
