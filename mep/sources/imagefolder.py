"""A Hugging Face imagefolder: images with a metadata.jsonl or metadata.csv beside them, in split folders or not."""

import csv
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from mep.config import HashFile, LocalPath, fold
from mep.errors import DataError
from mep.sources import Record, Source

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
SPLITS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}


class ImageFolder(Source):
    """Images under a folder; metadata.jsonl or metadata.csv gives further columns by `file_name`."""

    kind: Literal["imagefolder"]
    path: LocalPath
    """Folder, relative to the recipe file. Sub-folders train, validation and test are splits."""

    def records(self) -> list[Record]:
        if not self.path.is_dir():
            raise DataError(f"{self.path} is not a folder", hint="give the folder that holds the images")
        files = {path.relative_to(self.path).as_posix(): path for path in self._images()}
        columns = self._metadata(files)
        names: dict[str, None] = {name: None for row in columns.values() for name in row}
        return [
            Record(
                id=name,
                split=SPLITS.get(PurePosixPath(name).parts[0], "") if "/" in name else "",
                metadata={column: columns.get(name, {}).get(column) for column in names},
            )
            for name in sorted(files)
        ]

    def open(self, image_id: str) -> "Image":
        from PIL import Image

        return Image.open(self.path / image_id)

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        files = [*self._images(), *self._metadata_files()]
        return {"content": fold([(path.relative_to(self.path).as_posix(), hash_file(path)) for path in files])}

    def _images(self) -> list[Path]:
        return sorted(path for path in self.path.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())

    def _metadata_files(self) -> list[Path]:
        return sorted(path for name in ("metadata.jsonl", "metadata.csv") for path in self.path.rglob(name))

    def _metadata(self, files: dict[str, Path]) -> dict[str, dict[str, Any]]:
        """Image name -> its columns."""
        columns: dict[str, dict[str, Any]] = {}
        for path in self._metadata_files():
            base = path.parent.relative_to(self.path)
            for number, row in _rows(path):
                where = f"{path}:{number}"
                if not isinstance(row.get("file_name"), str):
                    raise DataError(f"{where}: no file_name", hint="every row names its image in the column file_name")
                relative = PurePosixPath(row.pop("file_name"))
                if relative.is_absolute() or ".." in relative.parts:
                    raise DataError(
                        f"{where}: {relative} lies outside the folder",
                        hint="file_name is relative to the metadata file",
                    )
                name = (PurePosixPath(base.as_posix()) / relative).as_posix()
                if name not in files:
                    raise DataError(f"{where}: there is no image {name}", hint="remove the row or restore the image")
                columns[name] = row
        return columns


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, row) of a metadata file."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [(number, dict(row)) for number, row in enumerate(csv.DictReader(file), 2)]
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error.msg})", hint="one JSON object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: not a JSON object", hint="one JSON object a line")
        rows.append((number, row))
    return rows
