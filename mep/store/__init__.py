"""The store: `runs/store/<stage>/<fingerprint>/` for finished work, `runs/work/` for unfinished, `runs/mep.db`.

An artifact is committed by a rename: it is there whole or not at all. Its row in the database follows; should a kill
come between the two, the row is written from the manifest when the store is next opened.
"""

import errno
import json
import os
import shutil
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mep.artifacts import Artifact, Scores
from mep.config import Config
from mep.errors import IntegrityError
from mep.files import fsync_folder, fsync_tree, read_json, sha256_of, write_json
from mep.stage import Stage
from mep.store import locks
from mep.store.database import Database

MANIFEST = "manifest.json"


def now() -> str:
    """UTC, to the millisecond, sortable."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """Finished and unfinished work under one root folder, `runs/` by default."""

    def __init__(self, root: Path):
        self.root = root.absolute()

    @cached_property
    def db(self) -> Database:
        self.root.mkdir(parents=True, exist_ok=True)
        return Database(self.root / "mep.db")

    def folder(self, stage: str, fingerprint: str) -> Path:
        return self.root / "store" / stage / fingerprint

    def work_folder(self, stage: str, fingerprint: str) -> Path:
        return self.root / "work" / stage / fingerprint

    def run_folder(self, run_id: str) -> Path:
        return self.root / run_id

    def lock(self, stage: str, fingerprint: str, **options: Any) -> AbstractContextManager[None]:
        return locks.hold(self.root / "locks" / f"{stage}-{fingerprint}.lock", **options)

    def has(self, stage: str, fingerprint: str) -> bool:
        """Whether a committed artifact is there, with every file at the size that its manifest says."""
        folder = self.folder(stage, fingerprint)
        try:
            manifest = read_json(folder / MANIFEST)
            return all((folder / name).stat().st_size == file["bytes"] for name, file in manifest["files"].items())
        except FileNotFoundError:
            return False

    def manifest(self, stage: str, fingerprint: str) -> dict[str, Any]:
        return dict(read_json(self.folder(stage, fingerprint) / MANIFEST))

    def load(self, stage: Stage, fingerprint: str, config: Config) -> Artifact:
        """Read an artifact back; `config` is that of its stage in the present recipe."""
        return stage.output.load(self.folder(stage.name, fingerprint), config)

    def publish(
        self, stage: Stage, fingerprint: str, ingredients: dict[str, Any], artifact: Artifact, out: Path, run_id: str
    ) -> None:
        """Commit the folder `out` as an artifact and record it; the first committer wins."""
        target = self.folder(stage.name, fingerprint)
        files = {
            path.relative_to(out).as_posix(): {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for path in sorted(out.rglob("*"))
            if path.is_file()
        }
        manifest = {
            "stage": stage.name,
            "fingerprint": fingerprint,
            "version": stage.version,
            "ingredients": ingredients,
            "facts": artifact.facts(),
            "files": files,
            "made_by": run_id,
            "made_at": now(),
        }
        write_json(out / MANIFEST, manifest)
        fsync_tree(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not self.has(stage.name, fingerprint):
            shutil.rmtree(target)  # a damaged artifact gives way to the one just made
        try:
            os.rename(out, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        fsync_folder(target.parent)
        self.record(manifest, artifact)
        shutil.rmtree(self.work_folder(stage.name, fingerprint), ignore_errors=True)

    def record(self, manifest: dict[str, Any], artifact: Artifact | None = None) -> None:
        """Write the rows of a committed artifact; rows that are already there stay."""
        artifact_id = f"{manifest['stage']}/{manifest['fingerprint']}"
        row = {
            "artifact_id": artifact_id,
            "n_files": len(manifest["files"]),
            "n_bytes": sum(file["bytes"] for file in manifest["files"].values()),
            "ingredients": json.dumps(manifest["ingredients"], ensure_ascii=False),
            "facts": json.dumps(manifest["facts"], ensure_ascii=False),
        }
        row |= {name: manifest[name] for name in ("stage", "fingerprint", "version", "made_by", "made_at")}
        inputs = [
            {"artifact_id": artifact_id, "role": role, "input_id": source}
            for role, source in manifest["ingredients"]["inputs"].items()
        ]
        with self.db.write() as db:
            db.table("artifacts").insert(row, ignore=True)
            db.table("inputs").insert_all(inputs, ignore=True)
            if isinstance(artifact, Scores):
                db.table("scores").insert_all(_score_rows(artifact_id, artifact.rows), ignore=True)

    def relatives(self, stage: Stage, ingredients: dict[str, Any]) -> list[Path]:
        """Folders of artifacts whose ingredients differ only in the fields that the stage grows in, newest first."""

        def core(one: dict[str, Any]) -> dict[str, Any]:
            return one | {"config": {name: v for name, v in one["config"].items() if name not in stage.grows}}

        rows = self.db.query(
            "SELECT fingerprint, ingredients FROM artifacts WHERE stage = ? ORDER BY made_at DESC", stage.name
        )
        found = [row["fingerprint"] for row in rows if core(json.loads(row["ingredients"])) == core(ingredients)]
        return [self.folder(stage.name, fingerprint) for fingerprint in found if self.has(stage.name, fingerprint)]

    def roll_forward(self) -> list[str]:
        """Record artifacts that were committed by a run killed before it could write their rows."""
        known = {row["artifact_id"] for row in self.db.query("SELECT artifact_id FROM artifacts")}
        found = []
        for path in sorted((self.root / "store").glob(f"*/*/{MANIFEST}")):
            artifact_id = f"{path.parent.parent.name}/{path.parent.name}"
            if artifact_id not in known:
                manifest = read_json(path)
                scores = Scores.load(path.parent, Config()) if manifest["stage"] == "metrics" else None
                self.record(manifest, scores)
                found.append(artifact_id)
        return found

    def damaged_files(self, stage: str, fingerprint: str) -> list[str]:
        """Files of an artifact whose content is not what the manifest says."""
        folder = self.folder(stage, fingerprint)
        if not (folder / MANIFEST).exists():
            raise IntegrityError(f"{stage}/{fingerprint} has no manifest", hint="run the recipe again to make it anew")
        files = self.manifest(stage, fingerprint)["files"]
        return [
            name
            for name, file in files.items()
            if not (folder / name).is_file() or sha256_of(folder / name) != file["sha256"]
        ]

    def hash_file(self, path: Path) -> str:
        """sha256 of an input file, remembered by size and modification time."""
        status = path.stat()
        key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(path)
            self._new_hashes.append(key)
        return self._hashes[key]

    def remember_hashes(self) -> None:
        """Keep the hashes of input files for the next process."""
        names = ("path", "size", "mtime_ns")
        rows = [dict(zip(names, key, strict=True)) | {"sha256": self._hashes[key]} for key in self._new_hashes]
        if rows:
            with self.db.write() as db:
                db.table("file_hashes").insert_all(rows, replace=True)
            self._new_hashes.clear()

    @cached_property
    def _hashes(self) -> dict[tuple[str, int, int], str]:
        rows = self.db.query("SELECT path, size, mtime_ns, sha256 FROM file_hashes")
        return {(row["path"], row["size"], row["mtime_ns"]): row["sha256"] for row in rows}

    @cached_property
    def _new_hashes(self) -> list[tuple[str, int, int]]:
        return []


def _score_rows(artifact_id: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = ("metric", "subject", "value", "se", "better", "reference", "n_real", "n_fake", "extractor")
    return [
        {"artifact_id": artifact_id, "row": number}
        | {name: row[name] for name in columns}
        | {"protocol": json.dumps({name: value for name, value in row.items() if name not in columns})}
        for number, row in enumerate(rows)
    ]
