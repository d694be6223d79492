"""Is everything still as it was? Files against manifests, these against fingerprints, the database against both."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mep.errors import EnvironmentLacks, MepError
from mep.machine.files import sha256_of, write_json
from mep.recipe import load_recipe
from mep.runner.lockfile import inputs_of, unlike, versions
from mep.store import Store, manifest, now
from mep.store.artifact_rows import artifact_row
from mep.store.database import Row
from mep.store.manifest import FileEntry, fingerprint_of


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as it was: where (an artifact, a file, a run), what, and what to do about it."""

    place: str
    problem: str
    hint: str


REDO = "run the recipe again: what is bad is made anew"


def check_artifacts(store: Store, artifact_ids: list[str] | None = None) -> list[Mismatch]:
    """Read every byte of some artifacts, or of all. Damaged ones are marked, so that a run makes them anew."""
    with contextlib.suppress(EnvironmentLacks):  # a read-only store can be verified, too
        store.roll_forward()  # what was committed by a process that was killed before it could write the rows
    recorded = {row["artifact_id"]: row for row in store.db.query("SELECT * FROM artifacts")}
    names = sorted(set(store.committed()) | set(recorded)) if artifact_ids is None else sorted(set(artifact_ids))
    mismatches: list[Mismatch] = []
    for name in names:
        if damage := list(_damage(store, name)):
            _mark(store, name, damage)
        mismatches += damage or _against_row(store, name, recorded.get(name))
    return mismatches


def check_lock(store: Store, run_id: str) -> list[Mismatch]:
    """The lockfile of a run against what is here now: data, commits of models, versions of packages."""
    path = store.run_folder(run_id) / "recipe.lock.yaml"
    try:
        recipe = load_recipe(path, paths_must_exist=False)
        present = versions() | {"inputs": inputs_of(recipe, store.hashes.of)}
    except (MepError, OSError) as error:
        return [Mismatch(f"{run_id}/recipe.lock.yaml", f"cannot be compared: {error}", "bring back what it names")]
    hints = {True: "bring it back as it was, or run the recipe anew", False: "results may differ in their last digits"}
    return [
        Mismatch(f"{run_id} {what}", f"was {before}, is {after} now", hints[what.startswith("inputs.")])
        for what, before, after in unlike(recipe, present)
    ]


def check_database(store: Store) -> list[Mismatch]:
    """SQLite's own checks of its file and of references between tables."""
    rows = store.db.query("PRAGMA integrity_check")
    problems = [row["integrity_check"] for row in rows if row["integrity_check"] != "ok"]
    problems += [f"a row of {row['table']} refers to nothing" for row in store.db.query("PRAGMA foreign_key_check")]
    return [Mismatch(str(store.db.path), problem, "mep db rebuild") for problem in problems]


def _damage(store: Store, name: str) -> Iterator[Mismatch]:
    folder = store.folder(name)
    if not folder.is_dir():
        yield Mismatch(name, "is gone", REDO)
        return
    try:
        content = manifest.read(folder)
    except FileNotFoundError:
        yield Mismatch(f"{name}/{manifest.NAME}", "is gone", REDO)
        return
    except (OSError, ValueError) as error:
        yield Mismatch(f"{name}/{manifest.NAME}", f"cannot be trusted: {error}", REDO)
        return
    if name != manifest.artifact_id(content):
        yield Mismatch(name, f"its manifest is that of {manifest.artifact_id(content)}", REDO)
    elif fingerprint_of(content["ingredients"]) != content["fingerprint"]:
        yield Mismatch(name, "its fingerprint is not that of its ingredients", REDO)
    if not (folder / manifest.COLLECTED).exists():
        yield from _damaged_files(store, name, content["files"])


def _damaged_files(store: Store, name: str, entries: dict[str, FileEntry]) -> Iterator[Mismatch]:
    folder = store.folder(name)
    for file, entry in entries.items():
        path = folder / file
        if not path.is_file():
            yield Mismatch(f"{name}/{file}", "is gone", REDO)
        elif (size := path.stat().st_size) != entry["bytes"]:
            yield Mismatch(f"{name}/{file}", f"has {size} bytes instead of {entry['bytes']}", REDO)
        elif sha256_of(path) != entry["sha256"]:
            yield Mismatch(f"{name}/{file}", "has other content than when it was written", REDO)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    halves = {name for name in there if Path(name).match(".*.tmp")}  # of a mark, by a process that was killed
    for extra in sorted(there - set(entries) - set(manifest.MARKS) - halves):
        yield Mismatch(f"{name}/{extra}", "is not part of the artifact", "move it out of the store")


def _against_row(store: Store, name: str, row: Row | None) -> list[Mismatch]:
    """The row of an artifact against its manifest."""
    if row is None:
        return [Mismatch(name, "is in the store but not in the database", "mep db rebuild")]
    expected = artifact_row(manifest.read(store.folder(name))).items()
    columns = ", ".join(column for column, value in expected if row[column] != value)
    return [Mismatch(name, f"the database says otherwise about its {columns}", "mep db rebuild")] if columns else []


def _mark(store: Store, name: str, damage: list[Mismatch]) -> None:
    """Leave word for the next run, which looks at sizes and times only."""
    folder = store.folder(name)
    if not folder.is_dir() or all("is not part" in mismatch.problem for mismatch in damage):
        return
    with contextlib.suppress(OSError):  # a read-only store can be verified, too; nothing can run in it anyway
        problems = [mismatch.problem for mismatch in damage]
        write_json(folder / manifest.DAMAGED, {"found_at": now(), "problems": problems})
