"""The rows of one run: a line in its `journal.jsonl` first, then the database.

`mep db rebuild` reads the journal. A line is handed to the kernel before its row is committed, so kill -9 loses none.
Lines are not pushed to the disk one by one: that would double the cost of a short stage. So a power cut can cost the
last lines, which matters only if the database is lost as well.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from mep.store.database import Database, Entry

JOURNAL = "journal.jsonl"


def now() -> str:
    """UTC, to the millisecond, sortable."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """Writes what happens to a run. Its times never run backwards, whatever the clock does."""

    def __init__(self, db: Database, folder: Path):
        self.db = db
        self.run_id = folder.name
        self.path = folder / JOURNAL
        if self.path.exists():  # half a last line is dropped
            os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)
        db.put(read_journal(self.path))  # a kill between the two had left the database behind
        self._events = self._count("events")
        self.n_attempts = self._count("attempts")
        self.n_sessions = self._count("sessions")
        self._latest = str(db.query("SELECT max(started_at) AS at FROM runs")[0]["at"] or "")

    def now(self) -> str:
        self._latest = max(self._latest, now())
        return self._latest

    def write(self, entries: Iterable[Entry], beside: Iterable[Entry] = ()) -> None:
        """One transaction. `beside` holds rows that are rebuilt from elsewhere: those of manifests."""
        entries = list(entries)
        append(self.path, entries)
        self.db.put([*entries, *beside])

    def event(self, kind: str, message: str = "", artifact_id: str = "") -> Entry:
        """The row of something that happened, to be written with others."""
        self._events += 1
        return "events", {
            "run_id": self.run_id,
            "number": self._events,
            "at": self.now(),
            "kind": kind,
            "artifact_id": artifact_id,
            "message": message,
        }

    def _count(self, table: str) -> int:
        column = "session" if table == "sessions" else "number"
        [row] = self.db.query(f"SELECT max({column}) AS n FROM {table} WHERE run_id = ?", self.run_id)
        return int(row["n"] or 0)


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Add lines to a journal, in one write if the disk has room."""
    text = "".join(json.dumps({table: row}, ensure_ascii=False) + "\n" for table, row in entries)
    with path.open("ab", buffering=0) as file:  # appending: `mep pin` may write while the run goes on
        fcntl.flock(file, fcntl.LOCK_EX)  # where it ends, two hosts on NFS know only under a lock
        left = memoryview(text.encode())
        while left:
            left = left[file.write(left) :]


def read_journal(path: Path) -> Iterator[Entry]:
    """The rows of a journal in order; later ones replace earlier ones. Half a last line is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        yield from json.loads(line).items()  # one table and its row
