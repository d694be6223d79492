"""A bundle taken in: looked through, checked, and then all of it or nothing."""

import gzip
import json
import os
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mep.artifacts import Scores
from mep.config import Config
from mep.errors import DataError, RecipeError, UsageError, printable
from mep.machine.files import own_name, write_json, write_text
from mep.recipe import load_recipe
from mep.store import Store, locks, manifest, now
from mep.store.artifact_rows import kind_of, rows_of
from mep.store.database import Database, Entry
from mep.store.journal import JOURNAL, read_journal
from mep.store.runs import is_held
from mep.store.unpacking import ARTIFACT_ID, Unpacked, unpack

OF_RUN = ("runs", "arms", "parameters", "sessions", "attempts", "uses", "events", "pins")
OF_ENVIRONMENT = ("environments", "packages")
HINT = "nothing of it was taken; ask for a new one, made with: mep export RUN"
JSON_COLUMNS = {"environment", "flags", "machine", "arms", "value"}
GIVEN_HERE = {"attempt_id"}
"""Columns whose values each database counts by itself."""


def import_run(store: Store, bundle: Path, *, newer: bool = False) -> dict[str, Any]:
    """Take a run into this store: its folder, its rows, and the artifacts that are not here yet; what it held.

    newer       a run that is here is brought up to date by one that begins like it and has gone on

    Its page is not taken, for it may hold scripts. A refused bundle leaves nothing behind.

    DataError           the file is no export, not as it was written, or says more than an export may
    UsageError          a run of that name is here already
    EnvironmentLacks    the disk has too little room
    """
    scratch = store.root / "work" / "import" / own_name()
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with store.in_use(shared=True), _refusing(bundle):
            unpacked = unpack(bundle, scratch)
            _check_recipe(unpacked)
            entries = [*_run_rows(store.db, unpacked), *_artifact_rows(store, unpacked)]
            with locks.hold(store.root / "locks" / "import.lock"):
                _refuse_known(store, unpacked, newer)
                _commit(store, unpacked, entries)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return unpacked.held | {name: sorted(unpacked.held[name]) for name in ("whole", "to_read")}


@contextmanager
def _refusing(bundle: Path) -> Iterator[None]:
    """What goes wrong with the content of a bundle as one error that names it."""
    damaged = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, FileNotFoundError, IsADirectoryError)
    senseless = (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, StopIteration)
    try:
        yield
    except DataError as error:
        raise DataError(printable(f"{bundle.name} is refused: {error.message}"), hint=HINT) from error
    except (*damaged, *senseless, sqlite3.Error) as error:
        message = f"{bundle} is not a whole export of mep: {error}"
        raise DataError(printable(message), hint="make it with: mep export RUN") from error


def _check_recipe(unpacked: Unpacked) -> None:
    """The arms that the rows speak of have to be those of the recipe, where this mep can read it."""
    folder = unpacked.folder / "run"
    if (log := folder / "log.txt").exists():  # `mep logs` shows it as it is
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        write_text(log, "\n".join(printable(line) for line in lines))
    try:
        recipe = load_recipe(folder / "recipe.lock.yaml", paths_must_exist=False)
    except RecipeError:
        return  # of another format; its numbers are there all the same
    arms = {row.get("arm") for table, row in read_journal(folder / JOURNAL) if table == "arms"}
    if not arms <= set(recipe.arms):
        raise DataError("its rows name arms that its recipe does not have")


def _run_rows(db: Database, unpacked: Unpacked) -> Iterator[Entry]:
    """The rows of its journal: of the run that it names alone, in columns that there are; environments that are new."""
    known = {row["environment_id"] for row in db.query("SELECT environment_id FROM environments")}
    columns = {
        table: {row["name"] for row in db.query(f"PRAGMA table_info({table})")} - GIVEN_HERE
        for table in (*OF_RUN, *OF_ENVIRONMENT)
    }
    for table, row in read_journal(unpacked.folder / "run" / JOURNAL):
        if table not in columns or not row.keys() <= columns[table]:
            raise DataError(f"its journal writes to {table} ({', '.join(row)}), which no run does")
        for column, value in row.items():
            _check_value(table, column, value)
        if table in OF_RUN and row["run_id"] != unpacked.run_id:
            raise DataError(f"its journal has a row of another run, {row['run_id']}")
        if not _names_artifact(table, row.get("artifact_id", ""), unpacked):
            raise DataError(f"its journal names {row['artifact_id']}, which is no artifact of the run")
        if table in OF_RUN or row["environment_id"] not in known:
            yield table, row


def _check_value(table: str, column: str, value: object) -> None:
    """DataError where a value is not of the kind that is read from its column."""
    try:
        if not (value is None or isinstance(value, str | int | float)):
            raise TypeError(type(value).__name__)
        if value is not None and (column == "at" or column.endswith("_at")):
            datetime.fromisoformat(str(value))
        if column in JSON_COLUMNS:
            json.loads(str(value))
    except (TypeError, ValueError) as error:
        raise DataError(f"its journal has a row of {table} whose {column} is none: {error}") from error


def _names_artifact(table: str, name: object, unpacked: Unpacked) -> bool:
    """Whether a row may name this: an artifact that came, or where the run only tried one, what could be one."""
    return name in unpacked.names or (table != "uses" and (name == "" or bool(ARTIFACT_ID.fullmatch(str(name)))))


def _artifact_rows(store: Store, unpacked: Unpacked) -> Iterator[Entry]:
    """The rows of the artifacts that are not here yet."""
    for name in unpacked.names:
        if store.folder(name).exists() and not _replaces(store, unpacked, name):
            continue
        kind, folder = kind_of(name.split("/")[0]), unpacked.folder / "store" / name
        scores = kind.load(folder, Config()) if issubclass(kind, Scores) and unpacked.is_whole(name) else None
        yield from rows_of(unpacked.manifests[name], scores)


def _replaces(store: Store, unpacked: Unpacked, name: str) -> bool:
    """Whether an artifact came whole in the place of one here of which only the manifest is left, or damaged files."""
    return unpacked.is_whole(name) and not store.has(name)


def _refuse_known(store: Store, unpacked: Unpacked, newer: bool) -> None:
    """UsageError where a run of that name is here, and this is not the same one, further on."""
    run_id = unpacked.run_id
    is_known = bool(store.db.query("SELECT 1 FROM runs WHERE run_id = ?", run_id))
    here, came = (folder / JOURNAL for folder in (store.run_folder(run_id), unpacked.folder / "run"))
    if not here.parent.exists() and not is_known:
        return
    ours, theirs = here.read_bytes() if here.exists() else b"", came.read_bytes()
    left = ours == theirs and not is_known  # of an import that was killed before its rows were written
    goes_on = newer and bool(ours) and theirs.startswith(ours)
    if is_held(store, run_id) or not (left or goes_on):
        raise UsageError(f"{run_id} is here already", hint=f"look at it: mep show {run_id}")


def _commit(store: Store, unpacked: Unpacked, entries: list[Entry]) -> None:
    """Give everything its place, and take all of it back where a part cannot be had."""
    target, came = store.run_folder(unpacked.run_id), unpacked.folder / "run"
    moved: list[tuple[Path, Path]] = []
    try:
        for name in unpacked.names:
            _adopt(store, unpacked, name, moved)
        if target.exists():
            _move(target, unpacked.folder / "left", moved)
        _move(came, target, moved)
        store.db.put(entries)
    except BaseException:
        for source, place in reversed(moved):
            os.rename(place, source)
        raise


def _adopt(store: Store, unpacked: Unpacked, name: str, moved: list[tuple[Path, Path]]) -> None:
    """Give an artifact its place in the store, unless it is here already."""
    source, target = unpacked.folder / "store" / name, store.folder(name)
    if target.exists():
        if not _replaces(store, unpacked, name):
            return
        _move(target, unpacked.folder / "before" / name, moved)
    if not unpacked.is_whole(name):
        write_json(source / manifest.COLLECTED, {"collected_at": now()})
    _move(source, target, moved)


def _move(source: Path, target: Path, moved: list[tuple[Path, Path]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    moved.append((source, target))
