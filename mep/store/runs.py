"""Runs in the provenance: find one, and tell its state."""

from mep.errors import UsageError
from mep.store import Store, locks
from mep.store.row_types import RunRow, State


def is_held(store: Store, run_id: str) -> bool:
    """Whether some process works on the run now."""
    return locks.is_held(store.run_folder(run_id) / "lock")


def is_running(store: Store, run_id: str) -> bool:
    rows = store.db.select(RunRow, "SELECT * FROM runs WHERE run_id = ?", run_id)
    return bool(rows) and state_of(rows[0], store) == "running"


def state_of(row: RunRow, store: Store) -> State:
    """State of a run. If its row says `running` but nobody holds its lock, the run was interrupted."""
    running = row["state"] == "running"
    return "interrupted" if running and not is_held(store, row["run_id"]) else row["state"]


def find_run(store: Store, name: str | None) -> RunRow:
    """The row of a run, by its id or the beginning of it; without a name, the last run.

    UsageError      no run, no such run, or several
    """
    rows = store.db.select(RunRow, "SELECT * FROM runs ORDER BY started_at, run_id")
    if not rows:
        raise UsageError(f"there are no runs in {store.root}", hint="make one: mep run recipes/quickstart.yaml")
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
