"""What a folder and an archive of images have in common: names, splits, metadata files, class folders."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from mep.config import HashFile, fold
from mep.errors import DataError
from mep.machine.files import reading_utf8, refuse_special
from mep.methods.sources import Record, Row

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".avif", ".jp2", ".j2k")
OTHERS = {
    **dict.fromkeys((".dcm", ".ima", ".dicom"), "dicom"),
    **dict.fromkeys((".nii", ".nii.gz"), "nifti"),
    **dict.fromkeys((".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".bif"), "slides"),
}
"""The kind of the source that reads files of a suffix which Pillow does not."""
METADATA = ("metadata.jsonl", "metadata.csv")
SPLITS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}
LABEL = "label"  # column that holds the class folder where there is no metadata file


def is_image(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.lower().endswith(SUFFIXES) and not base.startswith(".")


def kind_of_file(path: Path) -> str:
    """The source that reads a file which Pillow does not; empty where no source is known to."""
    kind = next((kind for suffix, kind in OTHERS.items() if path.name.lower().endswith(suffix)), "")
    if not kind and not path.suffix and path.is_file():
        with path.open("rb") as file:
            kind = "dicom" if file.read(132)[128:] == b"DICM" else ""
    return kind


def files_below(root: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder: its name, and its POSIX path below the folder."""
    top = str(root)
    for folder, _, files in os.walk(top):
        below = os.path.relpath(folder, top).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        yield from ((name, prefix + name) for name in files)


def content_of(root: Path, names: Iterable[str], hash_file: HashFile) -> dict[str, str]:
    """The digest of files below a folder; DataError where one leads nowhere."""
    try:
        return {"content": fold([(name, hash_file(root / name)) for name in names])}
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is a link to nothing", hint="remove it, or restore the file") from error


def open_metadata(path: Path) -> IO[str]:
    """The text of a metadata file; DataError where it is a pipe or a device."""
    refuse_special(path)
    return path.open(encoding="utf-8-sig")


def is_metadata(name: str) -> bool:
    return name.rpartition("/")[2] in METADATA


def records_of(
    names: Iterable[str],
    place: str,
    open_text: Callable[[str], IO[str]],
    is_wanted: Callable[[str], bool] = is_image,
) -> list[Record]:
    """Records of the images among some file names, by metadata files or, where there is none, by class folders.

    names       relative POSIX paths
    place       what error messages call the whole
    open_text   gives the text of a file
    is_wanted   tells images by their names

    DataError   a metadata file that cannot be read, or names a file that is absent or outside
    """
    listed = sorted(names)
    images = list(filter(is_wanted, listed))
    tables = list(filter(is_metadata, listed))
    if tables:
        rows = _join(set(images), tables, place, open_text)
    else:
        classes = {name: class_of(name) for name in images}
        rows = {name: {LABEL: label} for name, label in classes.items()} if any(classes.values()) else {}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    nothing: Row = {}
    return [
        Record(name, split_of(name), {column: rows.get(name, nothing).get(column) for column in columns})
        for name in images
    ]


def _join(images: set[str], tables: list[str], place: str, open_text: Callable[[str], IO[str]]) -> dict[str, Row]:
    """Image -> its row in a metadata file."""
    rows: dict[str, Row] = {}
    for table in tables:
        path = f"{place}/{table}"
        with reading_utf8(path), open_text(table) as file:
            for where, row in csv_rows(file, path) if table.endswith(".csv") else _json_rows(file, path):
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
    folders = PurePosixPath(name).parts[1 if split_of(name) else 0 : -1]
    return folders[-1] if folders else None


def inside(path: str, where: str) -> str:
    """A relative path in its normal form; DataError where it leaves the folder."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"{where}: {path} lies outside the folder", hint="images are named relative to the folder")
    return relative.as_posix()


def _named(row: Row, table: str, where: str, images: set[str]) -> str:
    """The image that a row of a metadata file is about; the column `file_name` is taken out of the row."""
    name = row.pop("file_name", None)
    if not isinstance(name, str) or not name:
        raise DataError(f"{where}: no file_name", hint="every row names its image in the column file_name")
    image = "/".join(filter(None, (table.rpartition("/")[0], inside(name, where))))
    if image not in images:
        raise DataError(f"{where}: there is no image {image}", hint="remove the row or restore the image")
    return image


def csv_rows(file: IO[str], name: str) -> Iterator[tuple[str, Row]]:
    """(file and line, row) of a CSV file; DataError where a row is longer than the first."""
    for number, row in enumerate(csv.DictReader(file), 2):
        if None in row:
            raise DataError(f"{name}:{number}: more values than columns", hint="quote values with commas")
        yield f"{name}:{number}", dict(row)


def _json_rows(file: IO[str], name: str) -> Iterator[tuple[str, Row]]:
    """(file and line, row) of a file with a JSON object a line."""
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            problem = "" if isinstance(row, dict) else "not a JSON object"
        except json.JSONDecodeError as error:
            problem = f"not JSON ({error.msg})"
        if problem:
            raise DataError(f"{name}:{number}: {problem}", hint="one JSON object a line")
        yield f"{name}:{number}", row
