"""Files that are either whole or absent."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from mep.config import special_file
from mep.errors import DataError, EnvironmentLacks

KEY = os.urandom(8).hex()
"""Of this process: hosts may share a name, and containers a process number."""


STILL_OPEN = ".nfs"
"""So NFS calls a file that was removed while a process of the same host has it open; it goes when that one ends."""


def own_name() -> str:
    """A name that no other process has, on whatever host, nor one that this one has forked."""
    return f"{os.getpid()}-{KEY}"


@contextmanager
def reading_utf8(name: object, field: str = "") -> Iterator[None]:
    """DataError where what is read within is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 text ({error.reason})", hint="save it as UTF-8", field=field) from error


@contextmanager
def noticing_full_disk(message: str, hint: str) -> Iterator[None]:
    """EnvironmentLacks where the disk is full; torch's writer wraps the system's error in one of its own."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise EnvironmentLacks(message, hint=hint) from error
            cause = cause.__cause__ or cause.__context__
        raise


def refuse_special(path: str | Path) -> None:
    """DataError where a path leads to a pipe, a device or a socket, which nobody may read."""
    if what := special_file(path):
        raise DataError(f"{path} is {what}, not a file", hint="take it out of the folder")


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex. DataError: it is a pipe, a device or a socket."""
    refuse_special(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Leave no half file where the disk is full, or where who writes is stopped."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a kill at any instant leaves the old content or the new, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{own_name()}.tmp")
    with removed_on_failure(temporary):
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    fsync(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, data: object) -> None:
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def append_json_line(path: Path, row: Mapping[str, object]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def fsync(path: str | Path) -> None:
    """Push a file, or the list of files in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Push every file under a folder, and the folders themselves, to the disk."""
    for root, _, names in os.walk(folder):
        for name in (*names, ""):
            fsync(os.path.join(root, name))


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it, but for what NFS keeps of files that a process of this host has open."""
    shutil.rmtree(folder, ignore_errors=True)
    if any(not path.is_dir() and not path.name.startswith(STILL_OPEN) for path in folder.rglob("*")):
        shutil.rmtree(folder)  # says why not


def look_anew(root: Path, folder: Path) -> None:
    """Make what other hosts have done in a folder, and in those that lead to it from `root`, visible here.

    A host that has looked for a name on NFS in vain goes on believing for half a minute that there is none, however
    often it looks or opens. Opening the folder above asks the server (nfs(5), close-to-open consistency).
    """
    way = [folder, *folder.parents]
    for above in reversed(way[: way.index(root) + 1]):
        with suppress(OSError):  # not there yet: nobody has done anything in it
            os.close(os.open(above, os.O_RDONLY))


def link_or_copy(source: Path, target: Path) -> Literal["linked", "copied"]:
    """Give an immutable file a second place: a hard link where the file system allows one, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        return "copied"
    return "linked"
