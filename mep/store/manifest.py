"""The manifest of an artifact: what it was made of, every file by content, and a digest of itself."""

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from mep.config import digest
from mep.machine.files import sha256_of

NAME = "manifest.json"
DAMAGED = "damaged.json"
"""`mep verify` leaves it beside a manifest whose files have changed: the artifact is then made again."""
COLLECTED = "collected.json"
"""`mep gc` and `mep import` leave it beside a manifest whose files are not kept here."""
LENGTH = 32
"""Hex digits kept of the sha256 that is a fingerprint: 128 bits."""
MARKS = (NAME, DAMAGED, COLLECTED)


class FileEntry(TypedDict):
    sha256: str
    bytes: int
    mtime_ns: int


class Ingredients(TypedDict):
    """Everything that the fingerprint of an artifact is the digest of.

    externals   [kind, name -> content] of every part of the config that reads something outside the recipe
    inputs      role -> stage/fingerprint
    repeat      from the second repeat on
    """

    stage: str
    version: int
    config: dict[str, object]
    externals: list[list[Any]]
    inputs: dict[str, str]
    seed: NotRequired[int]
    repeat: NotRequired[int]


class Origin(TypedDict):
    """Who made an artifact, and on what.

    made_by     run_id
    resume      whether it continued unfinished work: '', 'exact', or 'not exact: ...'
    machine     what the bits may depend on besides the fingerprint
    """

    made_by: str
    resume: NotRequired[str]
    machine: NotRequired[dict[str, object]]
    environment: NotRequired[str]


class Manifest(Origin):
    stage: str
    fingerprint: str
    version: int
    ingredients: Ingredients
    facts: dict[str, Any]
    files: dict[str, FileEntry]
    made_at: str


def list_files(folder: Path) -> dict[str, FileEntry]:
    """Relative name -> content, size and modification time of every file of an artifact.

    If size and time of a file are as recorded, it counts as unchanged; if the time differs, it is hashed again.
    """
    files: dict[str, FileEntry] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not (path.parent == folder and path.name in MARKS):
            status = path.stat()
            files[path.relative_to(folder).as_posix()] = {
                "sha256": sha256_of(path),
                "bytes": status.st_size,
                "mtime_ns": status.st_mtime_ns,
            }
    return files


def write(folder: Path, manifest: Manifest) -> None:
    """Without fsync: the whole folder gets one before it is committed."""
    (folder / NAME).write_text(text_of(manifest), encoding="utf-8")


def text_of(manifest: Manifest) -> str:
    """A manifest as it is written: with a digest of itself in the place of any that it had."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    text = json.dumps(content | {"sha256": digest(content)}, indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def read(folder: Path) -> Manifest:
    """The manifest of an artifact's folder.

    FileNotFoundError   there is none
    ValueError          it is not as it was written
    """
    return parse((folder / NAME).read_bytes())


def parse(text: bytes) -> Manifest:
    """A manifest as it was written; ValueError where it is not."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("sha256") != digest(
        {name: value for name, value in content.items() if name != "sha256"}
    ):
        raise ValueError("it is not as it was written")
    return cast(Manifest, content)


def fingerprint_of(ingredients: Ingredients) -> str:
    return digest(ingredients)[:LENGTH]


def artifact_id(manifest: Manifest) -> str:
    return f"{manifest['stage']}/{manifest['fingerprint']}"


def size_of(manifest: Manifest) -> int:
    """Bytes of all files of an artifact."""
    return sum(entry["bytes"] for entry in manifest["files"].values())
