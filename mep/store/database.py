"""The provenance in `runs/mep.db`: plain tables, one writer at a time, migrations in order."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.errors import EnvironmentLacks, IntegrityError

if TYPE_CHECKING:
    from sqlite_utils import Database as SqliteUtils

Row = dict[str, Any]


class Database:
    """A connection to the provenance. Reading needs no transaction; every change goes through `write`."""

    def __init__(self, path: Path):
        from sqlite_utils import Database as SqliteUtils

        self.path = path
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 30000"):
            connection.execute(f"PRAGMA {pragma}")
        self._db = SqliteUtils(connection)
        self._migrate()

    @contextmanager
    def write(self) -> "Iterator[SqliteUtils]":
        """One transaction, begun as a writer: a deferred one that turns writer later fails at once when another
        process writes, whatever the busy timeout."""
        self._db.conn.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.conn.rollback()
            raise
        self._db.conn.execute("COMMIT")

    def query(self, sql: str, *values: Any) -> list[Row]:
        return list(self._db.query(sql, values))

    def close(self) -> None:
        self._db.conn.close()

    def _migrate(self) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise EnvironmentLacks(
                f"SQLite {sqlite3.sqlite_version} is too old; mep needs 3.37", hint="use a newer Python"
            )
        scripts = migrations()
        if self._version() == len(scripts):
            return
        with self.write() as db:
            for number, script in enumerate(scripts, 1):
                if number > self._version():
                    for statement in _statements(script):
                        db.conn.execute(statement)
                    db.conn.execute(f"PRAGMA user_version = {number}")
        if self._version() > len(scripts):
            raise IntegrityError(
                f"{self.path} was written by a newer mep (format {self._version()}, this one knows {len(scripts)})",
                hint="upgrade mep: pip install -U mep",
            )

    def _version(self) -> int:
        return int(self._db.conn.execute("PRAGMA user_version").fetchone()[0])


def migrations() -> list[str]:
    """The SQL of every migration, in order."""
    folder = resources.files("mep.store") / "migrations"
    return [path.read_text() for path in sorted(folder.iterdir(), key=lambda path: path.name)]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; executescript would commit the transaction around them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
