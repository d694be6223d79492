"""Is everything still what it was? Files against manifests, these against fingerprints, the database against both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mep.errors import MepError
from mep.machine.files import sha256_of, write_json
from mep.recipe import load_recipe
from mep.runner.fingerprint import fingerprint_of
from mep.runner.lockfile import inputs_of, unlike, versions
from mep.store import Store, manifest, now, rows_of
from mep.store.manifest import Manifest

Seen = Callable[[int, int, str], None]
"""Hears how far it is: artifacts done, all artifacts, the present one."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was: where (an artifact, a file, a run), what, and what to do about it."""

    place: str
    problem: str
    hint: str


REDO = "run the recipe again: what is bad is made anew"


def check_artifacts(
    store: Store, artifact_ids: list[str] | None = None, seen: Seen = lambda done, total, name: None
) -> list[Finding]:
    """Read every byte of some artifacts, or of all; damaged ones are marked, so that a run makes them anew."""
    recorded = {row["artifact_id"]: row for row in store.db.query("SELECT * FROM artifacts")}
    names = sorted(set(store.committed()) | set(recorded)) if artifact_ids is None else sorted(set(artifact_ids))
    found: list[Finding] = []
    for place, name in enumerate(names):
        seen(place, len(names), name)
        bad = list(_check_artifact(store, name))
        if bad:
            _mark(store, name, bad)
        elif name not in recorded:
            bad.append(Finding(name, "is in the store but not in the database", "mep db rebuild"))
        elif differing := _differing(store, name, recorded[name]):
            bad.append(Finding(name, f"the database says otherwise about its {differing}", "mep db rebuild"))
        found += bad
    return found


def artifacts_of(store: Store, run_id: str) -> list[str]:
    """Every artifact that a run has used."""
    rows = store.db.query("SELECT DISTINCT artifact_id FROM uses WHERE run_id = ? ORDER BY artifact_id", run_id)
    return [row["artifact_id"] for row in rows]


def check_lock(store: Store, run_id: str) -> list[Finding]:
    """What a run was run with against what is here now: data, commits of models, versions of packages."""
    path = store.run_folder(run_id) / "recipe.lock.yaml"
    try:
        recipe = load_recipe(path, paths_must_exist=False)
        now = versions() | {"inputs": inputs_of(recipe, store.hash_file)}
    except (MepError, OSError) as error:
        return [Finding(f"{run_id}/recipe.lock.yaml", f"cannot be compared: {error}", "bring back what it names")]
    hints = {True: "bring it back as it was, or run the recipe anew", False: "results may differ in their last digits"}
    return [
        Finding(f"{run_id} {what}", f"was {before}, is {after} now", hints[what.startswith("inputs.")])
        for what, before, after in unlike(recipe, now)
    ]


def check_database(store: Store) -> list[Finding]:
    """SQLite's own checks of its file and of references between tables."""
    rows = store.db.query("PRAGMA integrity_check")
    bad = [row["integrity_check"] for row in rows if row["integrity_check"] != "ok"]
    bad += [f"a row of {row['table']} refers to nothing" for row in store.db.query("PRAGMA foreign_key_check")]
    return [Finding(str(store.db.path), problem, "mep db rebuild") for problem in bad]


def _check_artifact(store: Store, name: str) -> Iterator[Finding]:
    folder = store.root / "store" / name
    if not folder.is_dir():
        yield Finding(name, "is gone", REDO)
        return
    try:
        found = manifest.read(folder)
    except FileNotFoundError:
        yield Finding(f"{name}/{manifest.NAME}", "is gone", REDO)
        return
    except (OSError, ValueError) as error:
        yield Finding(f"{name}/{manifest.NAME}", f"cannot be trusted: {error}", REDO)
        return
    if name != f"{found['stage']}/{found['fingerprint']}":
        yield Finding(name, f"its manifest is that of {found['stage']}/{found['fingerprint']}", REDO)
    elif fingerprint_of(found["ingredients"]) != found["fingerprint"]:
        yield Finding(name, "its fingerprint is not that of its ingredients", REDO)
    if not (folder / manifest.COLLECTED).exists():
        yield from _check_files(store, name, found)


def _check_files(store: Store, name: str, found: Manifest) -> Iterator[Finding]:
    folder = store.root / "store" / name
    for file, said in found["files"].items():
        path = folder / file
        if not path.is_file():
            yield Finding(f"{name}/{file}", "is gone", REDO)
        elif (size := path.stat().st_size) != said["bytes"]:
            yield Finding(f"{name}/{file}", f"has {size} bytes instead of {said['bytes']}", REDO)
        elif sha256_of(path) != said["sha256"]:
            yield Finding(f"{name}/{file}", "has other content than when it was written", REDO)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for extra in sorted(there - set(found["files"]) - set(manifest.MARKS)):
        yield Finding(f"{name}/{extra}", "is not part of the artifact", "move it out of the store")


def _differing(store: Store, name: str, row: dict[str, object]) -> str:
    """Columns of an artifact's row that are not as the manifest has them."""
    found = manifest.read(store.root / "store" / name)
    [(_, wanted), *_] = rows_of(found)
    return ", ".join(column for column, value in wanted.items() if row[column] != value)


def _mark(store: Store, name: str, bad: list[Finding]) -> None:
    """Leave word for the next run, which looks at sizes and times only."""
    folder = store.root / "store" / name
    if not folder.is_dir() or all("is not part" in finding.problem for finding in bad):
        return
    try:
        write_json(folder / manifest.DAMAGED, {"found_at": now(), "problems": [f.problem for f in bad]})
    except OSError:
        return  # a read-only store can be verified, too; nothing can run in it anyway
