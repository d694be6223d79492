"""The store: `runs/store/<stage>/<fingerprint>/` for finished work, `runs/work/` for unfinished, `runs/mep.db`.

An artifact is named by its id, `stage/fingerprint`. It is committed by a rename: it is there whole or not at all. Its
row in the database follows; if a kill comes between the two, the row is written when the store is next opened.
"""

import errno
import json
import math
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from mep.artifacts import Artifact, Scores
from mep.config import Config
from mep.errors import IntegrityError
from mep.machine.files import fsync, fsync_tree, look_anew, own_name, remove_tree
from mep.stage import Stage
from mep.store import locks, manifest
from mep.store.artifact_rows import kind_of, rows_of
from mep.store.crash_points import hit
from mep.store.database import Database, Entry
from mep.store.hashes import FileHashes
from mep.store.journal import JOURNAL, now
from mep.store.manifest import FileEntry, Ingredients, Manifest, Origin

__all__ = ["ArtifactT", "Store", "now"]

ArtifactT = TypeVar("ArtifactT", bound=Artifact)


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

    def close(self) -> None:
        """Close the connection to the database, if there is one, in the thread that has opened it."""
        if "db" in vars(self):
            self.db.close()

    @cached_property
    def hashes(self) -> FileHashes:
        return FileHashes(self.db)

    def folder(self, artifact_id: str) -> Path:
        return self.root / "store" / artifact_id

    def work_folder(self, artifact_id: str) -> Path:
        return self.root / "work" / artifact_id

    def run_folder(self, run_id: str) -> Path:
        return self.root / run_id

    def lock_path(self, artifact_id: str) -> Path:
        return self.root / "locks" / f"{artifact_id.replace('/', '-')}.lock"

    def in_use(self, *, shared: bool = False) -> AbstractContextManager[None]:
        """Held together by all who rely on artifacts to stay; held alone, without waiting, by who removes some."""
        wait_s = math.inf if shared else 0
        return locks.hold(self.root / "locks" / "store.lock", shared=shared, wait_s=wait_s)

    def has(self, artifact_id: str) -> bool:
        """Whether a committed artifact is there, with every file as its manifest says."""
        return self.find(artifact_id) is not None

    def find(self, artifact_id: str) -> Manifest | None:
        """The manifest of a committed artifact, if all its files are as it says.

        A file of the recorded size and modification time counts as unchanged; others are hashed. What a failing disk
        changes without touching the time is found by `mep verify`.
        """
        folder = self.folder(artifact_id)
        look_anew(self.root, folder)
        try:
            content = manifest.read(folder)
            if any((folder / name).exists() for name in (manifest.DAMAGED, manifest.COLLECTED)):
                return None
            intact = all(self._is_intact(folder / name, entry) for name, entry in content["files"].items())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            return None
        return content if intact else None

    def _is_intact(self, path: Path, entry: FileEntry) -> bool:
        status = path.stat()
        same_time = status.st_mtime_ns == entry["mtime_ns"]
        return status.st_size == entry["bytes"] and (same_time or self.hashes.of(path) == entry["sha256"])

    def manifest(self, artifact_id: str) -> Manifest:
        """The manifest of an artifact, whether its files are still there or not.

        IntegrityError      it is gone or damaged
        """
        try:
            return manifest.read(self.folder(artifact_id))
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{artifact_id} has no readable manifest: {error}",
                hint="run the recipe again to make it anew",
            ) from error

    def load(self, kind: type[ArtifactT], artifact_id: str, config: Config) -> ArtifactT:
        """Read an artifact back; `config` is that of its stage in the present recipe."""
        return kind.load(self.folder(artifact_id), config)

    def publish(
        self,
        ingredients: Ingredients,
        fingerprint: str,
        artifact: Artifact,
        out: Path,
        origin: Origin,
        commit: Callable[[list[Entry]], None] | None = None,
    ) -> None:
        """Commit the folder `out` as an artifact and record it; the first committer wins.

        commit      writes the artifact's rows; the runner adds its own to the transaction
        """
        stage = ingredients["stage"]
        target = self.folder(f"{stage}/{fingerprint}")
        for leftover in out.rglob(".*.tmp"):  # of a file that was half written when a process was killed
            leftover.unlink()
        content: Manifest = {
            "stage": stage,
            "fingerprint": fingerprint,
            "version": ingredients["version"],
            "ingredients": ingredients,
            "facts": dict(artifact.facts()),
            "files": manifest.list_files(out),
            "made_at": now(),
            **origin,
        }
        manifest.write(out, content)
        if not self.place(out, f"{stage}/{fingerprint}"):
            content = manifest.read(target)
        hit("before-row", stage)
        (commit or self.db.put)(rows_of(content, artifact))
        hit("after-row", stage)
        shutil.rmtree(self.work_folder(f"{stage}/{fingerprint}"), ignore_errors=True)

    def place(self, folder: Path, artifact_id: str) -> bool:
        """Make a folder with its manifest the artifact; False where another process was first. The row is to follow."""
        target, stage = self.folder(artifact_id), artifact_id.split("/")[0]
        fsync_tree(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not self.has(artifact_id):
            self.remove(target)  # a damaged artifact gives way to the one that is whole
        hit("before-rename", stage)
        try:
            os.rename(folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        hit("after-rename", stage)
        fsync(target.parent)
        return True

    def remove(self, folder: Path) -> None:
        """Remove a folder that is out of the way in one step: half of one must not look like a run or an artifact."""
        aside = self.root / "work" / "removed" / "-".join(folder.relative_to(self.root).parts)
        aside.parent.mkdir(parents=True, exist_ok=True)
        if aside != folder:
            if aside.exists():  # of a removal that was killed, or that NFS keeps open files of
                aside.rename(aside.with_name(f"{aside.name}-{own_name()}"))
            os.rename(folder, aside)
        remove_tree(aside)

    def relatives(self, stage: Stage, ingredients: Ingredients) -> list[Path]:
        """Folders of artifacts whose ingredients differ only in the extendable fields of the stage, newest first."""

        def core(ingredients: Ingredients) -> dict[str, object]:
            config = ingredients["config"].items()
            return {**ingredients, "config": {name: v for name, v in config if name not in stage.extendable_fields}}

        rows = self.db.query(
            "SELECT artifact_id, ingredients FROM artifacts WHERE stage = ? ORDER BY made_at DESC", stage.name
        )
        matches = [row["artifact_id"] for row in rows if core(json.loads(row["ingredients"])) == core(ingredients)]
        return [self.folder(artifact_id) for artifact_id in matches if self.has(artifact_id)]

    def roll_forward(self) -> list[str]:
        """Record artifacts that were committed by a run killed before it could write their rows, and drop the scratch
        of those that were killed before they could."""
        for folder in (self.root / "work").glob("*/*"):
            if self.has(f"{folder.parent.name}/{folder.name}"):
                shutil.rmtree(folder, ignore_errors=True)
        recorded = {row["artifact_id"] for row in self.db.query("SELECT artifact_id FROM artifacts")}
        return [name for name in self.committed() if name not in recorded and self.record(name)]

    def record(self, artifact_id: str) -> bool:
        """Write the rows of a committed artifact from its manifest; False if that cannot be read."""
        folder = self.folder(artifact_id)
        try:
            content = manifest.read(folder)
        except (OSError, ValueError):
            return False  # `mep verify` tells
        kind = kind_of(content["stage"])
        has_scores = issubclass(kind, Scores) and self.has(artifact_id)
        self.db.put(rows_of(content, kind.load(folder, Config()) if has_scores else None))
        return True

    def committed(self) -> list[str]:
        """The id of every artifact on the disk, whatever its state."""
        return sorted(f"{path.parent.name}/{path.name}" for path in (self.root / "store").glob("*/*") if path.is_dir())
