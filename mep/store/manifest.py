"""The manifest of an artifact: what it was made of, every file by content, and a digest of itself."""

import json
from pathlib import Path
from typing import Any

from mep.config import digest
from mep.machine.files import sha256_of

NAME = "manifest.json"
DAMAGED = "damaged.json"
"""Left by `mep verify` beside a manifest whose files are not what it says: the artifact is then made again."""
COLLECTED = "collected.json"
"""Left by `mep gc` and `mep import` beside a manifest whose files are not kept here."""
MARKS = (NAME, DAMAGED, COLLECTED)

Manifest = dict[str, Any]


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Relative name -> sha256, size and modification time of every file of an artifact.

    A file of the same size and time is taken for unchanged; one with another time is hashed again.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not (path.parent == folder and path.name in MARKS):
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = {
                "sha256": sha256_of(path),
                "bytes": status.st_size,
                "mtime_ns": status.st_mtime_ns,
            }
    return found


def write(folder: Path, content: Manifest) -> None:
    """Without a push to the disk: the whole folder gets one before it is committed."""
    text = json.dumps(content | {"sha256": digest(content)}, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Manifest:
    """The manifest of an artifact's folder.

    FileNotFoundError   there is none
    ValueError          it is not as it was written
    """
    found = json.loads((folder / NAME).read_bytes())
    if not isinstance(found, dict) or found.get("sha256") != digest({k: v for k, v in found.items() if k != "sha256"}):
        raise ValueError("it is not as it was written")
    return found


def n_bytes(manifest: Manifest) -> int:
    return sum(file["bytes"] for file in manifest["files"].values())
