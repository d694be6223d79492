"""What may go: artifacts that no kept run needs, unfinished work that nobody will continue, whole runs."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mep.artifacts import Scores
from mep.errors import UsageError
from mep.machine.files import STILL_OPEN, remove_tree, write_json
from mep.store import Store, locks, manifest, now
from mep.store.artifact_rows import kind_of
from mep.store.database import Row
from mep.store.journal import JOURNAL, append
from mep.store.runs import is_held


@dataclass(frozen=True)
class Garbage:
    """Something that may go.

    path            relative to the folder of all runs
    n_bytes         what its removal frees; a file with two names counts half
    keep_manifest   a run that is still listed used it: its manifest and rows stay, as provenance
    """

    path: str
    n_bytes: int
    why: str
    keep_manifest: bool = False


def find_garbage(store: Store, *, keep_last: int | None = None, older_than_days: float | None = None) -> list[Garbage]:
    """What no kept run needs. Every run is kept unless a rule lets it go; pinned and running ones always are.

    keep_last           only the newest so many runs of every name are kept
    older_than_days     only runs younger than this are kept
    Where both rules are given, a run goes that both let go.
    """
    runs = store.db.query("SELECT * FROM runs ORDER BY started_at DESC, run_id DESC")
    run_ids = {run["run_id"] for run in runs}
    kept = run_ids - _let_go(store, runs, keep_last, older_than_days)
    needed, listed = _needed_by(store, kept), _needed_by(store, run_ids)
    garbage = []
    for name in store.committed():
        folder = store.folder(name)
        has_scores = issubclass(kind_of(folder.parent.name), Scores)
        if name in listed and (has_scores or _is_only_manifest(folder)):
            continue  # scores are small, and what a run is remembered for
        if name not in needed:
            why = "only runs that are not kept use it" if name in listed else "no run uses it"
            garbage.append(Garbage(f"store/{name}", _size(folder), why, keep_manifest=name in listed))
        elif (folder / manifest.DAMAGED).exists():
            garbage.append(Garbage(f"store/{name}", _size(folder), "damaged", keep_manifest=True))
    return garbage + _unfinished(store, kept) + _empty_runs(store, run_ids)


def collect(store: Store, garbage: list[Garbage]) -> int:
    """Remove garbage; the bytes that were freed.

    Locked      a run is going on
    """
    with store.in_use():
        for item in garbage:
            path = store.root / item.path
            if item.keep_manifest:
                _keep_manifest_only(path)
                continue
            if item.path.startswith("store/"):  # its row first: an artifact without a row is recorded again
                with store.db.write() as db:
                    db.table("artifacts").delete_where("artifact_id = ?", [item.path.removeprefix("store/")])
            store.remove(path)
    return sum(item.n_bytes for item in garbage)


def remove_run(store: Store, run_id: str) -> list[Garbage]:
    """Remove a run from the provenance, and its folder; what nothing needs any more then.

    UsageError      it is pinned
    Locked          it is going on
    """
    if run_id in [row["run_id"] for row in pinned(store)]:
        raise UsageError(f"{run_id} is pinned", hint=f"let it go first: mep pin --remove {run_id}")
    folder = store.run_folder(run_id)
    with store.in_use(shared=True):
        before = {item.path for item in find_garbage(store)}
        if folder.exists():
            with locks.hold(folder / "lock", wait_s=0):
                store.remove(folder)
        with store.db.write() as db:
            db.table("runs").delete_where("run_id = ?", [run_id])
        return [item for item in find_garbage(store) if item.path not in before]


def pin(store: Store, run_id: str, note: str = "") -> None:
    """Keep a run's artifacts whatever `mep gc` is asked to let go."""
    _write_pin(store, run_id, {"run_id": run_id, "pinned_at": now(), "unpinned_at": None, "note": note})


def unpin(store: Store, run_id: str) -> None:
    rows = store.db.query("SELECT * FROM pins WHERE run_id = ? AND unpinned_at IS NULL", run_id)
    if not rows:
        raise UsageError(f"{run_id} is not pinned", hint="see what is: mep pin")
    _write_pin(store, run_id, rows[0] | {"unpinned_at": now()})


def pinned(store: Store) -> list[Row]:
    return store.db.query("SELECT run_id, pinned_at, note FROM pins WHERE unpinned_at IS NULL ORDER BY pinned_at")


def _write_pin(store: Store, run_id: str, row: Row) -> None:
    append(store.run_folder(run_id) / JOURNAL, [("pins", row)])
    store.db.put([("pins", row)])


def _let_go(store: Store, runs: list[Row], keep_last: int | None, older_than_days: float | None) -> set[str]:
    """Runs that every rule lets go, the newest first in `runs`."""
    rules = []
    if keep_last is not None:
        n_seen: Counter[str] = Counter()
        old = set()
        for run in runs:
            n_seen[run["name"]] += 1
            if n_seen[run["name"]] > keep_last:
                old.add(run["run_id"])
        rules.append(old)
    if older_than_days is not None:
        before = (datetime.now(UTC) - timedelta(days=older_than_days)).isoformat()
        rules.append({run["run_id"] for run in runs if (run["ended_at"] or run["started_at"]) < before})
    let_go = set.intersection(*rules) if rules else set()
    running = {run_id for run_id in let_go if is_held(store, run_id)}
    return let_go - running - {row["run_id"] for row in pinned(store)}


def _needed_by(store: Store, run_ids: set[str]) -> set[str]:
    """Artifacts that runs have used or made, and everything that those were made from."""
    used = store.db.query("SELECT run_id, artifact_id FROM uses UNION SELECT made_by, artifact_id FROM artifacts")
    needed = {row["artifact_id"] for row in used if row["run_id"] in run_ids}
    for row in store.db.query("SELECT artifact_id, ancestor_id FROM lineage"):
        if row["artifact_id"] in needed:
            needed.add(row["ancestor_id"])
    return needed


def _unfinished(store: Store, kept: set[str]) -> list[Garbage]:
    """Work in progress that no kept run is going to continue."""
    rows = store.db.query("SELECT DISTINCT run_id, artifact_id FROM attempts WHERE state != 'done'")
    wanted = {row["artifact_id"] for row in rows if row["run_id"] in kept}
    folders = {f"{path.parent.name}/{path.name}": path for path in sorted((store.root / "work").glob("*/*"))}
    return [
        Garbage(f"work/{name}", _size(folder), "unfinished, and no run will continue it")
        for name, folder in folders.items()
        if name not in wanted and not locks.is_held(store.lock_path(name))
    ]


def _empty_runs(store: Store, recorded: set[str]) -> list[Garbage]:
    """Folders of runs that were killed before anything of them was recorded."""
    folders = [path.parent for path in sorted(store.root.glob("*/recipe.yaml")) if path.parent.name not in recorded]
    return [
        Garbage(folder.name, _size(folder), "a run that was killed before it began")
        for folder in folders
        if not (folder / JOURNAL).exists() and not is_held(store, folder.name)
    ]


def _is_only_manifest(folder: Path) -> bool:
    """Whether nothing else is kept of an artifact; a killed `gc` may have left some of its files."""
    return (folder / manifest.COLLECTED).exists() and all(path.name in manifest.MARKS for path in folder.iterdir())


def _keep_manifest_only(folder: Path) -> None:
    write_json(folder / manifest.COLLECTED, {"collected_at": now()})  # first, so that half of it is not taken for whole
    (folder / manifest.DAMAGED).unlink(missing_ok=True)
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            remove_tree(path)
        elif path.name not in (manifest.NAME, manifest.COLLECTED) and not path.name.startswith(STILL_OPEN):
            path.unlink()


def _size(folder: Path) -> int:
    statuses = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(status.st_size // status.st_nlink for status in statuses)
