"""A zip or tar file of images, read in place."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mep.config import HashFile, LocalPath
from mep.errors import DataError
from mep.methods.sources import Record, Source
from mep.methods.sources._endings import ending_of
from mep.methods.sources._tree import is_image, is_metadata, records_of

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 2**31  # a member that claims to be larger than 2 GiB is not read into memory


class Archive(Source):
    """An imagefolder packed as .zip or uncompressed .tar; nothing is unpacked. 1,000,000 images need
    about 0.6 GB in every process that reads them."""

    kind: Literal["archive"]
    path: LocalPath
    """The archive, relative to the recipe file; inside it lies what `imagefolder` expects."""

    def records(self) -> list[Record]:
        pack = _opened(self.path)
        return records_of(
            pack.names, str(self.path), lambda name: io.TextIOWrapper(io.BytesIO(pack.read(name)), encoding="utf-8-sig")
        )

    def open(self, image_id: str) -> Image:
        from PIL import Image

        return Image.open(io.BytesIO(_opened(self.path).read(image_id)))

    def file_of(self, image_id: str) -> Path:
        return self.path

    def endings(self) -> Counter[str]:
        return _opened(self.path).endings

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {"content": hash_file(self.path)}


class _Zip:
    def __init__(self, path: Path):
        self.file = zipfile.ZipFile(path)
        files = [info.filename for info in self.file.infolist() if not info.is_dir()]
        self.names = list(filter(_wanted, files))
        self.endings = Counter(map(ending_of, files))

    def read(self, name: str) -> bytes:
        _refuse_giant(name, self.file.getinfo(name).file_size)
        return self.file.read(name)  # zipfile guards the shared position with a lock


class _Tar:
    def __init__(self, path: Path):
        self.places: dict[str, tuple[int, int]] = {}
        self.endings = Counter[str]()
        with tarfile.open(path, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep a large object for each
                name = member.name.removeprefix("./")
                if member.isfile():
                    self.endings[ending_of(name)] += 1
                if member.isfile() and _wanted(name):
                    self.places[name] = (member.offset_data, member.size)
        self.file = path.open("rb")
        self.names = list(self.places)

    def read(self, name: str) -> bytes:
        start, size = self.places[name]
        _refuse_giant(name, size)
        return os.pread(self.file.fileno(), size, start)


def _wanted(name: str) -> bool:
    return is_image(name) or is_metadata(name)


def _refuse_giant(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise DataError(f"{name} claims to be {size:,} bytes", hint="take it out of the archive")


_opening = threading.Lock()


def _opened(path: Path) -> _Zip | _Tar:
    with _opening:
        return _open(path, os.getpid())


@cache
def _open(path: Path, process: int) -> _Zip | _Tar:
    """The index of an archive, read once in each process: a file position must not be shared with a fork."""
    try:
        return _Zip(path) if zipfile.is_zipfile(path) else _Tar(path)
    except (zipfile.BadZipFile, tarfile.TarError, OSError) as error:
        raise DataError(
            f"{path} is neither a zip nor an uncompressed tar file ({error})",
            hint="a compressed tar has no index: unpack it, or pack it again as zip or tar",
            field="dataset.source.path",
        ) from error
