"""The provenance in `runs/mep.db`: plain tables, one writer at a time, migrations in order.

The journal of a transaction is a file beside it (journal_mode TRUNCATE), not a write-ahead log: that one needs memory
which all readers share, and so a file system of one host.
"""

import itertools
import sqlite3
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mep.errors import EnvironmentLacks, IntegrityError, Locked, MepError

if TYPE_CHECKING:
    from sqlite_utils import Database as SqliteUtils

Row = dict[str, Any]
"""A row of whatever columns a query asks for."""

Entry = tuple[str, Mapping[str, object]]
"""A table and one of its rows."""

Value = str | int | float | None
RowT = TypeVar("RowT")

BUSY_S = 30.0
"""How long a writer waits for another one."""

KEYS = {
    "runs": ("run_id",),
    "arms": ("run_id", "arm"),
    "parameters": ("run_id", "arm", "field"),
    "environments": ("environment_id",),
    "packages": ("environment_id", "package"),
    "sessions": ("run_id", "session"),
    "attempts": ("run_id", "number"),
    "uses": ("run_id", "arm", "stage"),
    "events": ("run_id", "number"),
    "pins": ("run_id",),
    "artifacts": ("artifact_id",),
    "inputs": ("artifact_id", "role"),
    "scores": ("artifact_id", "row"),
    "file_hashes": ("path",),
}
"""What tells the rows of a table apart; a row that is there already is brought up to date."""


def _sqlite_utils() -> "type[SqliteUtils]":
    """The class of sqlite_utils, without pandas: it would take 0.3 s of every command, for a type never stored here."""
    hidden = "pandas" not in sys.modules and "sqlite_utils" not in sys.modules
    if hidden:
        sys.modules["pandas"] = None  # type: ignore[assignment]  # an import of it fails, as if it were not there
    try:
        from sqlite_utils import Database as SqliteUtils
    finally:
        if hidden:
            del sys.modules["pandas"]
    return SqliteUtils


class Database:
    """A connection to the provenance. Reading needs no transaction; every change goes through `write` or `put`.

    Locked              another program keeps it locked
    IntegrityError      it is damaged, or of a newer mep
    EnvironmentLacks    it cannot be written: a full disk, a read-only folder
    """

    def __init__(self, path: Path):
        self.path = path
        with self._explained():
            connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
            # what sqlite_utils holds in a circle would else stay open until a collection comes by
            weakref.finalize(self, _close, connection).atexit = False
            busy = f"busy_timeout = {int(BUSY_S * 1000)}"
            for pragma in ("synchronous = FULL", "foreign_keys = ON", busy, "journal_mode = TRUNCATE"):
                connection.execute(f"PRAGMA {pragma}")
            self._db = _sqlite_utils()(connection)
            self._migrate()

    @contextmanager
    def write(self) -> "Iterator[SqliteUtils]":
        """One transaction, begun as a writer: a deferred one that turns writer later fails at once when another
        process writes, whatever the busy timeout."""
        with self._explained():
            self._db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.conn.execute("COMMIT")
            except BaseException:
                if self._db.conn.in_transaction:  # a full disk ends it by itself
                    self._db.conn.rollback()
                raise

    def put(self, entries: Iterable[Entry]) -> None:
        """Insert or update rows, all in one transaction."""
        with self.write() as db:
            for (table, columns), group in itertools.groupby(entries, key=lambda entry: (entry[0], tuple(entry[1]))):
                db.conn.executemany(_upsert(table, columns), [tuple(row.values()) for _, row in group])

    def query(self, sql: str, *values: Value) -> list[Row]:
        with self._explained():
            return list(self._db.query(sql, values))

    def select(self, kind: type[RowT], sql: str, *values: Value) -> list[RowT]:
        """Rows of a query that asks for every column of a table; `kind` is the type of its rows."""
        return cast(list[RowT], self.query(sql, *values))

    def tuples(self, sql: str, *values: Value) -> Iterator[tuple[Any, ...]]:
        """Rows as tuples, one by one: for long results, where making dictionaries would take most of the time."""
        with self._explained():
            yield from self._db.conn.execute(sql, values)

    def close(self) -> None:
        _close(self._db.conn)

    def _migrate(self) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise EnvironmentLacks(
                f"SQLite {sqlite3.sqlite_version} is too old; mep needs 3.37", hint="use a newer Python"
            )
        scripts, version = migrations(), self._version()
        if version > len(scripts):
            raise IntegrityError(
                f"{self.path} was written by a newer mep (format {version}, this one knows {len(scripts)})",
                hint="upgrade mep: pip install -U mep",
            )
        if version == len(scripts):
            return
        with self.write() as db:
            for number, script in enumerate(scripts, 1):
                if number > self._version():  # asked again: another process may have been first
                    for statement in _statements(script):
                        db.conn.execute(statement)
                    db.conn.execute(f"PRAGMA user_version = {number}")

    def _version(self) -> int:
        return int(self._db.conn.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as the person at the keyboard needs them; a mistake of the program stays what it is."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if (explained := _explain(error, self.path)) is None:
                raise
            raise explained from error


def _close(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.ProgrammingError):  # of another thread, which alone may close it; else a collection does
        connection.close()


def _explain(error: sqlite3.DatabaseError, path: Path) -> MepError | None:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith("SQLITE_BUSY"):
        return Locked(
            f"{path} has been locked by another program for {BUSY_S:g} s",
            hint="close what has it open, such as a database browser with unsaved changes, and run the command again",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return IntegrityError(
            f"{path} is damaged: {error}", hint="make it anew from the manifests and run folders: mep db rebuild"
        )
    if name.startswith("SQLITE_FULL"):
        return EnvironmentLacks(f"no space left to write {path}", hint="free some (mep gc lists what can go)")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_PERM")):
        return EnvironmentLacks(f"{path} cannot be written: {error}", hint="see what is wrong: mep doctor")
    return None


def _upsert(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    rest = [column for column in columns if column not in KEYS[table]]
    update = "UPDATE SET " + ", ".join(f"{column} = excluded.{column}" for column in rest) if rest else "NOTHING"
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(KEYS[table])}) DO {update}"


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
