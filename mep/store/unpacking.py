"""A bundle of somebody else, unpacked: each member is checked before it is written, and its bytes while they are."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from mep.errors import DataError, EnvironmentLacks
from mep.store import manifest
from mep.store.bundle import EXPORT
from mep.store.journal import JOURNAL
from mep.store.manifest import Manifest, fingerprint_of

RUN_ID = re.compile(r"\d{8}-\d{4,6}-[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
ARTIFACT_ID = re.compile(r"[a-z][a-z0-9_]*/[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")
RUN_FILES = ("recipe.yaml", "recipe.lock.yaml", "log.txt", JOURNAL)
LEFT_OUT = "report.html"
"""A page may hold scripts. It is not taken; who takes in a run makes its page anew from the data."""
MAX_MEMBERS = 1_000_000
MAX_TEXT = 64_000_000
"""Bytes of a text of the run, and of a manifest."""
GROWTH, ALWAYS = 100, 256_000_000
"""A bundle may unpack to so many times its own size, and to so many bytes in any case."""
RESERVE = 100_000_000
"""Bytes of the disk that are left free."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Unpacked:
    """What a bundle held: its own words in `held`, the manifest of every artifact, and all files below `folder`."""

    folder: Path
    held: dict[str, Any]
    manifests: dict[str, Manifest] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return str(self.held["run_id"])

    @property
    def names(self) -> list[str]:
        return list(self.held["artifacts"])

    def is_whole(self, name: str) -> bool:
        return name in self.held["whole"]

    def has_files(self, name: str) -> bool:
        """Whether its files came: whole, or to be read alone."""
        return name in self.held["whole"] | self.held["to_read"]


def unpack(bundle: Path, folder: Path) -> Unpacked:
    """Unpack a bundle into a folder of its own.

    DataError           a member that an export does not have, or that is not as its manifest says; or more than MAX
    EnvironmentLacks    the disk has too little room
    ValueError, KeyError, TypeError, tarfile.TarError and others of a file that is damaged or no export at all
    """
    folder.mkdir(parents=True)
    limit = max(ALWAYS, GROWTH * bundle.stat().st_size)
    with gzip.open(bundle) as packed, tarfile.open(None, "r|", _Limited(packed, limit)) as archive:
        members = _members(archive, limit)
        first, content = next(members)
        if first.name != EXPORT:
            raise DataError(f"it begins with {first.name!r}, not with {EXPORT}")
        _refuse_large(first)
        unpacked = Unpacked(folder, _checked(json.loads(content.read())))
        refuse_full(folder, int(unpacked.held.get("unpacked_bytes", 0)))
        for member, content in members:
            _take(unpacked, member, content)
    absent = [name for name in unpacked.names if name not in unpacked.manifests]
    absent += [file for file in RUN_FILES[1:] if not (folder / "run" / file).exists() and file != "log.txt"]
    absent += [
        f"{name}/{file}"
        for name, content_of in unpacked.manifests.items()
        for file in (content_of["files"] if unpacked.has_files(name) else ())
        if not (folder / "store" / name / file).exists()
    ]
    if absent:
        raise DataError(f"it lacks {absent[0]}")
    return unpacked


class _Limited(io.RawIOBase):
    """A stream that ends with an error rather than grow without end, as a few bytes of gzip can."""

    def __init__(self, stream: gzip.GzipFile, limit: int):
        super().__init__()
        self.stream, self.limit, self.n_read = stream, limit, 0

    def read(self, size: int = -1, /) -> bytes:
        content = self.stream.read(size)
        self.n_read += len(content)
        if self.n_read > self.limit:
            raise DataError(_too_large(self.limit))
        return content


def _members(archive: tarfile.TarFile, limit: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every member with its content: plain files, each once, and together no more bytes than the limit."""
    seen: set[str] = set()
    n_bytes = 0
    for member in archive:
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise DataError(f"it holds {member.name!r}, which is not a plain file")
        if member.name in seen or len(seen) >= MAX_MEMBERS:
            raise DataError(f"it holds {member.name!r} twice, or more than {MAX_MEMBERS:,} files")
        seen.add(member.name)
        n_bytes += member.size
        if n_bytes > limit:
            raise DataError(_too_large(limit))
        content = archive.extractfile(member)
        assert content is not None  # it is a plain file
        yield member, content


def _too_large(limit: int) -> str:
    return f"it unpacks to more than {limit / 1e6:,.0f} MB, which is far more than its size tells"


def _checked(held: Any) -> dict[str, Any]:
    """What a bundle says of itself, where it makes sense."""
    run_id, names, whole = held["run_id"], held["artifacts"], held["whole"]
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise DataError(f"{run_id!r} is no name of a run")
    for name in names:
        if not isinstance(name, str) or not ARTIFACT_ID.fullmatch(name):
            raise DataError(f"{name!r} is no name of an artifact")
    to_read = set(held.get("to_read", ())) & set(names)  # mep 0.2.0 wrote none
    return {**held, "artifacts": list(names), "whole": set(whole) & set(names) - to_read, "to_read": to_read}


def _take(unpacked: Unpacked, member: tarfile.TarInfo, content: IO[bytes]) -> None:
    """Write a member that belongs to an export, under the name that it has there."""
    place, _, rest = member.name.partition("/")
    target = unpacked.folder / member.name
    if place == "run" and rest in RUN_FILES:
        _refuse_large(member)
        _write(member, content, target)
        return
    if (place, rest) == ("run", LEFT_OUT):
        return
    stage, _, rest = rest.partition("/")
    fingerprint, _, file = rest.partition("/")
    name = f"{stage}/{fingerprint}"
    if place == "store" and name in unpacked.names and file == manifest.NAME:
        _refuse_large(member)
        _write(member, content, target)
        unpacked.manifests[name] = checked_manifest(manifest.read(target.parent), name)
        return
    entry = unpacked.manifests[name]["files"].get(file) if name in unpacked.manifests else None
    if place != "store" or entry is None or not unpacked.has_files(name):
        raise DataError(f"it holds {member.name!r}, which is no part of the run")
    if member.size != entry["bytes"] or _write(member, content, target) != entry["sha256"]:
        raise DataError(f"{name}/{file} is not as its manifest says")
    os.utime(target, ns=(entry["mtime_ns"], entry["mtime_ns"]))  # it was just read: no need to hash it again


def _write(member: tarfile.TarInfo, content: IO[bytes], target: Path) -> str:
    """Write a file; the sha256 of what was written."""
    refuse_full(target.parent, member.size)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def checked_manifest(content: Manifest, name: str) -> Manifest:
    """The manifest of an artifact, if it is one in every part that is used of it, and of that artifact.

    DataError, KeyError, TypeError, AttributeError      it is not
    """
    files, ingredients = content["files"], content["ingredients"]
    texts = [content["stage"], content["fingerprint"], content["made_by"], content["made_at"]]
    inputs = list(ingredients["inputs"].values())
    makes_sense = (
        all(isinstance(text, str) for text in texts)
        and isinstance(content["version"], int)
        and isinstance(content["facts"], dict)
        and all(isinstance(source, str) and ARTIFACT_ID.fullmatch(source) for source in inputs)
        and all(_is_file_entry(file, entry) for file, entry in files.items())
    )
    if not makes_sense:
        raise DataError(f"{name} has no manifest that makes sense")
    if manifest.artifact_id(content) != name or fingerprint_of(ingredients) != content["fingerprint"]:
        raise DataError(f"the manifest of {name} is that of another artifact")
    return content


def _is_file_entry(file: str, entry: object) -> bool:
    """Whether a manifest names a file below the folder of its artifact, and says what it holds."""
    if not isinstance(entry, dict) or file in manifest.MARKS or {"", ".", ".."} & set(file.split("/")):
        return False
    sizes = (entry.get("bytes"), entry.get("mtime_ns"))
    is_hashed = isinstance(entry.get("sha256"), str) and SHA256.fullmatch(cast(str, entry["sha256"]))
    return bool(is_hashed) and all(isinstance(size, int) and 0 <= size < 2**63 for size in sizes)


def _refuse_large(member: tarfile.TarInfo) -> None:
    if member.size > MAX_TEXT:
        raise DataError(f"{member.name} claims to be {member.size / 1e6:,.0f} MB of text")


def refuse_full(folder: Path, n_bytes: int) -> None:
    """EnvironmentLacks where the disk has too little room for so many bytes."""
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    if n_bytes + RESERVE > free:
        raise EnvironmentLacks(
            f"taking it in needs {(n_bytes + RESERVE) / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free",
            hint="free some: mep gc lists what can go",
        )
