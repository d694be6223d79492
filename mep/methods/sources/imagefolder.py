"""A Hugging Face imagefolder: images with a metadata.jsonl or metadata.csv, in class folders, or just images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mep.config import HashFile, LocalPath
from mep.errors import DataError
from mep.machine.files import refuse_special
from mep.methods.sources import Record, Source
from mep.methods.sources._endings import ending_of
from mep.methods.sources._tree import (
    LABEL,
    class_of,
    content_of,
    files_below,
    is_image,
    is_metadata,
    kind_of_file,
    open_metadata,
    records_of,
)

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageFolder(Source):
    """Images under a folder; metadata.jsonl or metadata.csv gives further columns by `file_name`.

    Without such a file the column `label` is the folder that an image lies in; a flat folder has no columns.
    """

    kind: Literal["imagefolder"]
    path: LocalPath
    """Folder, relative to the recipe file. Sub-folders train, validation and test are splits."""

    def records(self) -> list[Record]:
        if not self.path.is_dir():
            raise DataError(f"{self.path} is not a folder", hint="give the folder that holds the images")
        return records_of(self._names(), str(self.path), lambda name: open_metadata(self.path / name))

    def open(self, image_id: str) -> Image:
        from PIL import Image

        path = os.path.join(self.path, image_id)  # in a third of the time of Path
        refuse_special(path)
        return Image.open(path)

    def path_of(self, image_id: str) -> Path:
        return self.path / image_id

    def endings(self) -> Counter[str]:
        paths = (Path(folder, name) for folder, _, files in os.walk(self.path) for name in files)
        return Counter(ending_of(path.name) or kind_of_file(path) for path in paths)

    def classes(self, column: str) -> list[str]:
        """Class folders, those without an image among them."""
        if column != LABEL or any(is_metadata(name) for name in self._names()):
            return []
        root = str(self.path)
        leaves = (os.path.relpath(folder, root) for folder, folders, _ in os.walk(root) if not folders)
        return sorted(filter(None, {class_of(f"{leaf.replace(os.sep, '/')}/x") for leaf in leaves if leaf != "."}))

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return content_of(self.path, self._names(), hash_file)

    def _names(self) -> Iterator[str]:
        """Images and metadata files, as POSIX paths below the folder."""
        return (path for name, path in files_below(self.path) if is_image(name) or is_metadata(name))
