"""The store: `runs/store/<stage>/<fingerprint>/` for finished work, `runs/work/` for unfinished, `runs/mep.db`.

An artifact is committed by a rename: it is there whole or not at all. Its row in the database follows; should a kill
come between the two, the row is written from the manifest when the store is next opened.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from mep.artifacts import Artifact, Scores
from mep.config import Config
from mep.errors import IntegrityError
from mep.machine.files import fsync_folder, fsync_tree, sha256_of
from mep.stage import Stage
from mep.store import locks, manifest
from mep.store.crash_points import hit
from mep.store.database import Database, Entry
from mep.store.journal import JOURNAL, now
from mep.store.manifest import Manifest

MANIFEST = manifest.NAME

__all__ = ["MANIFEST", "Store", "now"]


class Store:
    """Finished and unfinished work under one root folder, `runs/` by default."""

    def __init__(self, root: Path):
        self.root = root.absolute()

    @cached_property
    def db(self) -> Database:
        path = self.root / "mep.db"
        if not path.exists() and (journals := list(self.root.glob(f"*/{JOURNAL}"))):
            raise IntegrityError(
                f"{path} is gone; runs that lie beside it: {len(journals)}",
                hint="make it anew from the manifests and run folders: mep db rebuild",
            )
        self.root.mkdir(parents=True, exist_ok=True)
        return Database(path)

    def folder(self, stage: str, fingerprint: str) -> Path:
        return self.root / "store" / stage / fingerprint

    def work_folder(self, stage: str, fingerprint: str) -> Path:
        return self.root / "work" / stage / fingerprint

    def run_folder(self, run_id: str) -> Path:
        return self.root / run_id

    def lock(self, stage: str, fingerprint: str, **options: Any) -> AbstractContextManager[None]:
        return locks.hold(self.root / "locks" / f"{stage}-{fingerprint}.lock", **options)

    def in_use(self, **options: Any) -> AbstractContextManager[None]:
        """Held, shared, by whoever relies on artifacts staying, and alone by whoever removes some."""
        return locks.hold(self.root / "locks" / "store.lock", **options)

    def has(self, stage: str, fingerprint: str) -> bool:
        """Whether a committed artifact is there, with every file as its manifest says."""
        return self.find(stage, fingerprint) is not None

    def find(self, stage: str, fingerprint: str) -> Manifest | None:
        """The manifest of a committed artifact, if all its files are as it says.

        A file of the size and modification time that it had when it was committed is taken for unchanged; others are
        hashed. What a failing disk changes without touching the time is found by `mep verify`.
        """
        folder = self.folder(stage, fingerprint)
        try:
            found = manifest.read(folder)
            if any((folder / name).exists() for name in (manifest.DAMAGED, manifest.COLLECTED)):
                return None
            intact = all(self._is_intact(folder / name, file) for name, file in found["files"].items())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            return None
        return found if intact else None

    def _is_intact(self, path: Path, file: dict[str, Any]) -> bool:
        status = path.stat()
        if status.st_size != file["bytes"]:
            return False
        return status.st_mtime_ns == file["mtime_ns"] or self.hash_file(path) == file["sha256"]

    def manifest(self, stage: str, fingerprint: str) -> Manifest:
        """The manifest of an artifact, whether its files are still there or not.

        IntegrityError      it is gone or damaged
        """
        try:
            return manifest.read(self.folder(stage, fingerprint))
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{stage}/{fingerprint} has no readable manifest: {error}",
                hint="run the recipe again to make it anew",
            ) from error

    def load(self, stage: Stage, fingerprint: str, config: Config) -> Artifact:
        """Read an artifact back; `config` is that of its stage in the present recipe."""
        return stage.output.load(self.folder(stage.name, fingerprint), config)

    def publish(
        self,
        stage: Stage,
        fingerprint: str,
        ingredients: dict[str, Any],
        artifact: Artifact,
        out: Path,
        run_id: str,
        *,
        notes: dict[str, Any] | None = None,
        commit: Callable[[list[Entry]], None] | None = None,
    ) -> None:
        """Commit the folder `out` as an artifact and record it; the first committer wins.

        notes       further things to say in the manifest
        commit      writes the artifact's rows; the runner adds its own to the transaction
        """
        target = self.folder(stage.name, fingerprint)
        content: Manifest = {
            "stage": stage.name,
            "fingerprint": fingerprint,
            "version": stage.version,
            "ingredients": ingredients,
            "facts": artifact.facts(),
            "files": manifest.list_files(out),
            "made_by": run_id,
            "made_at": now(),
        }
        manifest.write(out, content | (notes or {}))
        fsync_tree(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not self.has(stage.name, fingerprint):
            shutil.rmtree(target)  # a damaged artifact gives way to the one just made
        hit("before-rename", stage.name)
        try:
            os.rename(out, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            content = manifest.read(target)
        hit("after-rename", stage.name)
        fsync_folder(target.parent)
        hit("before-row", stage.name)
        (commit or self.db.put)(rows_of(content, artifact))
        hit("after-row", stage.name)
        shutil.rmtree(self.work_folder(stage.name, fingerprint), ignore_errors=True)

    def relatives(self, stage: Stage, ingredients: dict[str, Any]) -> list[Path]:
        """Folders of artifacts whose ingredients differ only in the extendable fields of the stage, newest first."""

        def core(one: dict[str, Any]) -> dict[str, Any]:
            fixed = {name: value for name, value in one["config"].items() if name not in stage.extendable_fields}
            return one | {"config": fixed}

        rows = self.db.query(
            "SELECT fingerprint, ingredients FROM artifacts WHERE stage = ? ORDER BY made_at DESC", stage.name
        )
        found = [row["fingerprint"] for row in rows if core(json.loads(row["ingredients"])) == core(ingredients)]
        return [self.folder(stage.name, fingerprint) for fingerprint in found if self.has(stage.name, fingerprint)]

    def roll_forward(self) -> list[str]:
        """Record artifacts that were committed by a run killed before it could write their rows, and drop the scratch
        of those that were killed before they could."""
        for folder in (self.root / "work").glob("*/*"):
            if self.has(folder.parent.name, folder.name):
                shutil.rmtree(folder, ignore_errors=True)
        known = {row["artifact_id"] for row in self.db.query("SELECT artifact_id FROM artifacts")}
        lost = [name for name in self.committed() if name not in known]
        return [name for name in lost if self.record(name)]

    def record(self, artifact_id: str) -> bool:
        """Write the rows of a committed artifact from its manifest; False where that cannot be read."""
        folder = self.root / "store" / artifact_id
        try:
            found = manifest.read(folder)
        except (OSError, ValueError):
            return False  # `mep verify` tells
        kind = scores_kind(found["stage"])
        there = kind is not None and self.find(found["stage"], found["fingerprint"]) is not None
        self.db.put(rows_of(found, kind.load(folder, Config()) if kind and there else None))
        return True

    def committed(self) -> list[str]:
        """stage/fingerprint of every artifact on the disk, whatever its state."""
        return sorted(f"{path.parent.name}/{path.name}" for path in (self.root / "store").glob("*/*") if path.is_dir())

    def damaged_files(self, stage: str, fingerprint: str) -> list[str]:
        """Files of an artifact whose content is not what the manifest says."""
        folder = self.folder(stage, fingerprint)
        return [
            name
            for name, file in self.manifest(stage, fingerprint)["files"].items()
            if not (folder / name).is_file() or sha256_of(folder / name) != file["sha256"]
        ]

    def hash_file(self, path: Path) -> str:
        """sha256 of a file, remembered by size and modification time."""
        status = path.stat()
        key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(path)
            self._new_hashes.append(key)
        return self._hashes[key]

    def remember_hashes(self) -> None:
        """Keep the hashes of files for the next process."""
        names = ("path", "size", "mtime_ns")
        rows = [dict(zip(names, key, strict=True)) | {"sha256": self._hashes[key]} for key in self._new_hashes]
        if rows:
            self.db.put(("file_hashes", row) for row in rows)
            self._new_hashes.clear()

    @cached_property
    def _hashes(self) -> dict[tuple[str, int, int], str]:
        rows = self.db.query("SELECT path, size, mtime_ns, sha256 FROM file_hashes")
        return {(row["path"], row["size"], row["mtime_ns"]): row["sha256"] for row in rows}

    @cached_property
    def _new_hashes(self) -> list[tuple[str, int, int]]:
        return []


def rows_of(found: Manifest, artifact: Artifact | None = None) -> list[Entry]:
    """What the database holds on an artifact: all of it comes from the manifest and, for scores, from the artifact."""
    artifact_id = f"{found['stage']}/{found['fingerprint']}"
    row = {
        "artifact_id": artifact_id,
        "n_files": len(found["files"]),
        "n_bytes": manifest.n_bytes(found),
        "ingredients": json.dumps(found["ingredients"], ensure_ascii=False),
        "facts": json.dumps(found["facts"], ensure_ascii=False),
    }
    row |= {name: found[name] for name in ("stage", "fingerprint", "version", "made_by", "made_at")}
    entries: list[Entry] = [("artifacts", row)]
    for role, source in found["ingredients"]["inputs"].items():
        entries.append(("inputs", {"artifact_id": artifact_id, "role": role, "input_id": source}))
    if isinstance(artifact, Scores):
        place = {"artifact_id": artifact_id}
        entries += [("scores", place | {"row": n} | row.to_sql()) for n, row in enumerate(artifact.rows)]
    return entries


def scores_kind(stage: str) -> type[Scores] | None:
    """The artifact type of a stage that writes scores; None for the others."""
    from mep.stages import stages

    known = stages().get(stage)
    return known.output if known and issubclass(known.output, Scores) else None
