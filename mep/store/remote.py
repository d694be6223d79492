"""The way to a place that several hosts reach, by fsspec: files go and come many at once, and its errors are told.

A file appears there whole or not at all: a bucket sees to that, and in a folder it is written aside and renamed.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from mep.errors import EnvironmentLacks, MepError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""Scheme of an address -> extra of mep that reads it."""
CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for gs:// GOOGLE_APPLICATION_CREDENTIALS"
)
LIBRARIES = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "s3fs"}
"""Where errors come from that are those of the way to a bucket."""
MAX_MANY = 1024
"""Small files that are asked for at once."""
MOST_FILES, MOST_BYTES = 256, 400_000_000
"""What is under way at once, beyond a single larger file; an upload holds it in memory."""
THREADS = 8
"""Files of a folder that are copied at once."""
Moved = Callable[[int], None]
"""Hears of bytes that have come or gone."""


class Moving(NamedTuple):
    """A file on its way: where it lies here, its name there, and its size."""

    path: Path
    name: str
    n_bytes: int


class Remote:
    """A bucket (`s3://lab/mep`, `gs://lab/mep`) or a folder; names of files are relative to it.

    EnvironmentLacks    nobody answers there, or refuses; the package for such addresses is missing
    """

    def __init__(self, address: str):
        self.address = address.rstrip("/")
        self.root = ""
        with self.explained():
            from fsspec.core import url_to_fs

            # a listing that is kept would hide what another host has sent meanwhile
            kept = {"auto_mkdir": True} if self.is_folder else {"use_listings_cache": False}
            self.fs, self.root = url_to_fs(self.address, **kept)

    @property
    def is_folder(self) -> bool:
        return "://" not in self.address or self.address.startswith("file://")

    def path(self, *parts: str) -> str:
        return "/".join([self.root, *parts])

    def sizes(self, folder: str) -> dict[str, int]:
        """Name -> bytes of every file below a folder."""
        with self.explained():
            found = self.fs.find(self.path(folder), detail=True)
        start = len(self.path(folder)) + 1
        return {path[start:]: int(info["size"]) for path, info in found.items()}

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The content of small files, of those that are there."""
        contents: dict[str, bytes] = {}
        wanted = list(names)
        with self.explained():
            for start in range(0, len(wanted), MAX_MANY):
                paths = {self.path(name): name for name in wanted[start : start + MAX_MANY]}
                for path, content in self.fs.cat(list(paths), on_error="return").items():
                    if isinstance(content, bytes):
                        contents[paths[path]] = content
                    elif not isinstance(content, FileNotFoundError | NotADirectoryError):
                        raise content
        return contents

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Write small files."""
        with self.explained():
            for name, content in contents.items():
                place, final = self._aside(name)
                self.fs.pipe_file(place, content)
                self._settle(place, final)

    def send(self, files: Sequence[Moving], moved: Moved) -> None:
        """Upload files at the same time."""
        with self.explained():
            if self.fs.async_impl:
                sources, targets = [str(file.path) for file in files], [self.path(file.name) for file in files]
                self.fs.put(sources, targets, callback=_counting(moved))
            else:
                self._one_by_one(self._send_one, files, moved)

    def _send_one(self, file: Moving) -> None:
        place, final = self._aside(file.name)
        self.fs.put_file(str(file.path), place)
        self._settle(place, final)

    def receive(self, files: Sequence[Moving], moved: Moved) -> None:
        """Download files at the same time."""
        with self.explained():
            if self.fs.async_impl:
                sources, targets = [self.path(file.name) for file in files], [str(file.path) for file in files]
                self.fs.get(sources, targets, callback=_counting(moved))
            else:
                self._one_by_one(self._receive_one, files, moved)

    def _receive_one(self, file: Moving) -> None:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        self.fs.get_file(self.path(file.name), str(file.path))

    def _one_by_one(self, move: Callable[[Moving], None], files: Sequence[Moving], moved: Moved) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for file, _ in zip(files, pool.map(move, files), strict=True):
                moved(file.n_bytes)

    def _aside(self, name: str) -> tuple[str, str]:
        """Where a file is written, and its place: in a bucket it appears there whole, in a folder not."""
        final = self.path(name)
        return (f"{final}.{uuid4().hex}.tmp" if self.is_folder else final), final

    def _settle(self, place: str, final: str) -> None:
        if place != final:
            os.replace(place, final)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors on the way there, as the person at the keyboard needs them."""
        try:
            yield
        except MepError:
            raise
        except Exception as error:
            if (explained := _explain(error, self.address, self.root)) is None:
                raise
            raise explained from error


def _explain(error: Exception, address: str, root: str) -> EnvironmentLacks | None:
    """The error as one of mep's own, None where it is not of the way there."""
    if isinstance(error, OSError) and error.filename and not str(error.filename).startswith(root):
        return None  # of a file on this side
    text = str(error).strip() or type(error).__name__
    if isinstance(error, ImportError):
        extra = EXTRAS.get(address.partition("://")[0])
        hint = f"pip install 'mep[{extra}]'" if extra else "install what the message names"
        return EnvironmentLacks(f"{address} needs a package that is missing: {text}", hint=hint)
    if "credential" in f"{type(error).__name__} {text}".lower():
        return EnvironmentLacks(f"{address} asks who you are, and there are no credentials: {text}", hint=CREDENTIALS)
    if "Protocol not known" in text:
        return EnvironmentLacks(f"nobody knows addresses like {address}", hint="s3://bucket/folder, or a folder")
    if isinstance(error, PermissionError):
        return EnvironmentLacks(f"{address} refuses: {text}", hint="ask for the right to read and write there")
    if isinstance(error, FileNotFoundError):
        return EnvironmentLacks(f"{address}: {text}", hint="is it the right address?")
    if _is_of_the_way(error):
        return EnvironmentLacks(f"{address} does not answer: {text}", hint="the same command goes on where it stopped")
    return None


def _is_of_the_way(error: Exception) -> bool:
    """Whether the network, or who answers there, is to blame."""
    packages = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    nameless = isinstance(error, OSError) and not error.filename and error.errno not in (errno.ENOSPC, errno.EDQUOT)
    return nameless or isinstance(error, TimeoutError) or bool(packages & LIBRARIES)


def _counting(moved: Moved) -> Any:
    """A callback of fsspec that passes on how many bytes of all files together have moved."""
    from fsspec.callbacks import Callback

    class File(Callback):  # type: ignore[misc]  # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            moved(inc)

    class All(Callback):  # type: ignore[misc]
        def branched(self, path_1: str, path_2: str, **kwargs: object) -> Callback:
            return File()

    return All()


def groups(files: Sequence[Moving]) -> Iterator[list[Moving]]:
    """The files in their order, as many at once as may be under way."""
    group: list[Moving] = []
    n_bytes = 0
    for file in files:
        if group and (len(group) >= MOST_FILES or n_bytes + file.n_bytes > MOST_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += file.n_bytes
    if group:
        yield group
