"""sha256 of files outside the store, remembered by size and modification time."""

from functools import cached_property
from pathlib import Path

from mep.machine.files import sha256_of
from mep.store.database import Database

Key = tuple[str, int, int]
"""Path, size and modification time."""


class FileHashes:
    """Hashes of files: those of earlier processes, and those of this one until they are saved."""

    def __init__(self, db: Database):
        self.db = db
        self.unsaved: list[Key] = []

    @cached_property
    def by_file(self) -> dict[Key, str]:
        rows = self.db.query("SELECT path, size, mtime_ns, sha256 FROM file_hashes")
        return {(row["path"], row["size"], row["mtime_ns"]): row["sha256"] for row in rows}

    def of(self, path: Path) -> str:
        status = path.stat()
        key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
        if key not in self.by_file:
            self.by_file[key] = sha256_of(path)
            self.unsaved.append(key)
        return self.by_file[key]

    def save(self) -> None:
        """Keep the hashes for the next process."""
        rows = [
            {"path": path, "size": size, "mtime_ns": mtime_ns, "sha256": self.by_file[path, size, mtime_ns]}
            for path, size, mtime_ns in self.unsaved
        ]
        if rows:
            self.db.put(("file_hashes", row) for row in rows)
            self.unsaved.clear()
