"""What a folder and an archive of images have in common: names, splits, metadata files, class folders."""

from __future__ import annotations

import csv
import json
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from mep.errors import DataError
from mep.machine.files import reading_utf8
from mep.methods.sources import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
METADATA = ("metadata.jsonl", "metadata.csv")
SPLITS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}
LABEL = "label"
"""Column that holds the class folder where there is no metadata file."""


def is_image(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.lower().endswith(SUFFIXES) and not base.startswith(".")


def is_metadata(name: str) -> bool:
    return name.rpartition("/")[2] in METADATA


def records_of(names: Iterable[str], place: str, open_text: Callable[[str], IO[str]]) -> list[Record]:
    """Records of the images among some file names, by metadata files or, where there is none, by class folders.

    names       relative POSIX paths
    place       what error messages call the whole
    open_text   gives the text of a file

    DataError   a metadata file that cannot be read, or names a file that is absent or outside
    """
    listed = sorted(names)
    images = [name for name in listed if is_image(name)]
    tables = [name for name in listed if is_metadata(name)]
    if tables:
        rows = _join(set(images), tables, place, open_text)
        columns = dict.fromkeys(column for row in rows.values() for column in row)
        none: dict[str, Any] = {}
        return [
            Record(name, split_of(name), {column: rows.get(name, none).get(column) for column in columns})
            for name in images
        ]
    classes = {name: class_of(name) for name in images}
    labelled = any(classes.values())
    return [Record(name, split_of(name), {LABEL: classes[name]} if labelled else {}) for name in images]


def _join(
    images: set[str], tables: list[str], place: str, open_text: Callable[[str], IO[str]]
) -> dict[str, dict[str, Any]]:
    """Image -> its row in a metadata file."""
    rows: dict[str, dict[str, Any]] = {}
    for table in tables:
        with reading_utf8(f"{place}/{table}"), open_text(table) as file:
            for number, row in _rows(table, file, place):
                where = f"{place}/{table}:{number}"
                name = _named(row, table, where, images)
                if name in rows:
                    raise DataError(f"{where}: {name} has a row already", hint="keep one row an image")
                rows[name] = row
    return rows


def split_of(name: str) -> str:
    """The split that the first folder of a path names, empty where it names none."""
    first, slash, _ = name.partition("/")
    return SPLITS.get(first, "") if slash else ""


def class_of(name: str) -> str | None:
    """The folder that an image lies in, a split not counted: the class, where there is no metadata."""
    folders = PurePosixPath(name).parts[:-1]
    folders = folders[1:] if split_of(name) else folders
    return folders[-1] if folders else None


def inside(path: str, where: str) -> str:
    """A relative path in its normal form.

    DataError   it leaves the folder
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"{where}: {path} lies outside the folder", hint="images are named relative to the folder")
    return relative.as_posix()


def _named(row: dict[str, Any], table: str, where: str, images: set[str]) -> str:
    """The image that a row of a metadata file is about; the column `file_name` is taken out of the row."""
    name = row.pop("file_name", None)
    if not isinstance(name, str) or not name:
        raise DataError(f"{where}: no file_name", hint="every row names its image in the column file_name")
    folder = table.rpartition("/")[0]
    image = f"{folder}/{inside(name, where)}" if folder else inside(name, where)
    if image not in images:
        raise DataError(f"{where}: there is no image {image}", hint="remove the row or restore the image")
    return image


def csv_rows(file: IO[str], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a CSV file.

    DataError   a row that is longer than the first
    """
    for number, row in enumerate(csv.DictReader(file), 2):
        if None in row:
            raise DataError(f"{name}:{number}: more values than columns", hint="quote values with commas")
        yield number, dict(row)


def _rows(table: str, file: IO[str], place: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a metadata file."""
    if table.endswith(".csv"):
        yield from csv_rows(file, f"{place}/{table}")
        return
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{place}/{table}:{number}: not JSON ({error.msg})", hint="one JSON object a line"
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{place}/{table}:{number}: not a JSON object", hint="one JSON object a line")
        yield number, row
