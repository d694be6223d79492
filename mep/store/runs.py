"""Runs in the provenance: find one, and tell its state."""

from typing import Literal, TypedDict, cast

from mep.errors import UsageError
from mep.store import Store, locks
from mep.store.database import Row

State = Literal["running", "done", "failed", "interrupted"]


class RunRow(TypedDict):
    """environment     JSON: versions of what a result may depend on"""

    run_id: str
    name: str
    recipe_file: str
    recipe_sha256: str
    environment: str
    state: State
    started_at: str
    ended_at: str | None
    error: str
    host: str
    pid: int


def is_held(store: Store, run_id: str) -> bool:
    """Whether some process works on the run now."""
    return locks.is_held(store.run_folder(run_id) / "lock")


def state_of(row: RunRow | Row, store: Store) -> State:
    """State of a run. If its row says `running` but nobody holds its lock, the run was interrupted."""
    running = row["state"] == "running"
    return "interrupted" if running and not is_held(store, row["run_id"]) else cast(State, row["state"])


def artifacts_of(store: Store, run_id: str) -> list[str]:
    """The id of every artifact that a run has used."""
    rows = store.db.query("SELECT DISTINCT artifact_id FROM uses WHERE run_id = ? ORDER BY artifact_id", run_id)
    return [row["artifact_id"] for row in rows]


def find_run(store: Store, name: str | None) -> RunRow:
    """The row of a run, by its id or the beginning of it; without a name, the last run.

    UsageError      no run, no such run, or several
    """
    rows = store.db.select(RunRow, "SELECT * FROM runs ORDER BY started_at, run_id")
    if not rows:
        raise UsageError(f"there are no runs in {store.root}", hint="make one: mep run quickstart")
    if name is None:
        return rows[-1]
    matches = [row for row in rows if row["run_id"] == name] or [row for row in rows if row["run_id"].startswith(name)]
    if len(matches) == 1:
        return matches[0]
    shown = ", ".join(row["run_id"] for row in (matches or rows)[-5:])
    raise UsageError(
        f"'{name}' is {'ambiguous' if matches else 'no run'}",
        hint=f"{'candidates' if matches else 'last runs'}: {shown}",
    )
