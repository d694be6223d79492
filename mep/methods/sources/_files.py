"""A folder of files of a format that Pillow does not read, each of which holds one image or several."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from mep.config import HashFile, LocalPath
from mep.errors import DataError
from mep.methods.sources import Record, Row, Source
from mep.methods.sources._tree import content_of, files_below, is_metadata, open_metadata, records_of

MARK = "#"  # between the path of a file and the image in it


class Files(Source):
    """Names, splits, class folders and metadata files are those of `imagefolder`; a member says what a file holds."""

    path: LocalPath
    """Folder, or one file, relative to the recipe file. Splits, class folders and metadata files as in `imagefolder`;
    a metadata file names files, not the images in them."""

    def is_one(self, path: Path) -> bool:
        """Is this file one of the format?"""
        raise NotImplementedError

    def contents(self, names: list[str]) -> Iterator[list[tuple[str, Row]]]:
        """For each file the images in it, by what stands behind its path (empty where it holds one), with columns."""
        raise NotImplementedError

    def records(self) -> list[Record]:
        names = self.names_below()
        wanted = {name for name in names if not is_metadata(name)}
        files = records_of(names, str(self.root), lambda name: open_metadata(self.root / name), wanted.__contains__)
        if not files:
            raise DataError(
                f"{self.path} holds no file of kind {self.kind}",
                hint="give the folder that holds them",
                field="dataset.source.path",
            )
        records = [
            Record(self.name_of(file.id, part), file.split, file.metadata | columns)
            for file, images in zip(files, self.contents([file.id for file in files]), strict=True)
            for part, columns in images
        ]
        return sorted(records, key=lambda record: record.id)

    def name_of(self, file: str, part: str) -> str:
        """The id of an image."""
        return f"{file}{MARK}{part}" if part else file

    def parts_of(self, image_id: str) -> tuple[str, str]:
        """The path of the file of an image below the root, and what stands behind it."""
        file, _, part = image_id.partition(MARK)
        return file, part

    def place_of(self, image_id: str) -> tuple[Path, str]:
        """The file of an image, and what stands behind its path."""
        file, part = self.parts_of(image_id)
        return self.root / file, part

    def file_of(self, image_id: str) -> Path:
        return self.place_of(image_id)[0]

    def names_below(self) -> list[str]:
        """The files of the format, and the metadata files, as sorted POSIX paths below the root."""
        if not self.path.exists():
            raise DataError(f"{self.path} does not exist", hint="give a folder or a file", field="dataset.source.path")
        if not self.path.is_dir():
            return [self.path.name]
        return sorted(
            path
            for name, path in files_below(self.path)
            if not name.startswith(".") and (is_metadata(name) or self.is_one(self.path / path))
        )

    @cached_property
    def root(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return content_of(self.root, self.names_below(), hash_file)
