"""What the provenance says about runs."""

import json
from typing import Any, Literal, NotRequired, TypedDict

from mep.stages import stages
from mep.store import Store
from mep.store.row_types import AttemptRow, RunRow, State
from mep.store.runs import find_run, state_of

StageState = State | Literal["reused", "pending"]


class RunSummary(TypedDict):
    """A run in the list of all runs; `state` is derived."""

    state: State
    arms: list[str]
    run_id: str
    name: str
    recipe_file: str
    started_at: str
    ended_at: str | None
    error: str
    sessions: int
    pinned: bool


class StageStatus(TypedDict):
    """An artifact that a run used or tried to make, or a stage that it has not come to."""

    stage: str
    arms: list[str]
    state: StageState
    facts: dict[str, Any]
    wall_s: NotRequired[float | None]
    peak_memory_mb: NotRequired[float | None]
    error: NotRequired[str]


class RunStatus(TypedDict):
    run_id: str
    state: State
    error: str
    stages: list[StageStatus]


def all_runs(store: Store) -> list[RunSummary]:
    """Every run, oldest first."""
    arms: dict[str, list[str]] = {}
    for row in store.db.query("SELECT run_id, arm FROM arms ORDER BY run_id, position"):
        arms.setdefault(row["run_id"], []).append(row["arm"])
    counts = store.db.query("SELECT run_id, count(*) AS n FROM sessions GROUP BY run_id")
    n_sessions = {row["run_id"]: row["n"] for row in counts}
    pinned = {row["run_id"] for row in store.db.query("SELECT run_id FROM pins WHERE unpinned_at IS NULL")}
    return [
        {
            "state": state_of(run, store),
            "arms": arms.get(run["run_id"], []),
            "run_id": run["run_id"],
            "name": run["name"],
            "recipe_file": run["recipe_file"],
            "started_at": run["started_at"],
            "ended_at": run["ended_at"],
            "error": run["error"],
            "sessions": n_sessions.get(run["run_id"], 0),
            "pinned": run["run_id"] in pinned,
        }
        for run in store.db.select(RunRow, "SELECT * FROM runs ORDER BY started_at, run_id")
    ]


def status_of(store: Store, name: str | None) -> RunStatus:
    """State of a run, and of each of its stages."""
    run = find_run(store, name)
    run_id, state = run["run_id"], state_of(run, store)
    return {"run_id": run_id, "state": state, "error": run["error"], "stages": _stages(store, run_id, state)}


def details_of(store: Store, name: str | None) -> dict[str, Any]:
    """Everything that the provenance holds on a run."""
    run = find_run(store, name)

    def rows(sql: str) -> list[dict[str, Any]]:
        return store.db.query(sql, run["run_id"])

    artifacts = rows("SELECT arm, stage, how, artifact_id FROM uses WHERE run_id = ? ORDER BY rowid")
    return dict(run) | {
        "state": state_of(run, store),
        "environment": json.loads(run["environment"]),
        "artifacts": [use | {"folder": str(store.folder(use["artifact_id"]))} for use in artifacts],
        "parameters": rows("SELECT arm, field, value, origin FROM parameters WHERE run_id = ? ORDER BY rowid"),
        "attempts": rows("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id"),
        "sessions": rows("SELECT * FROM run_sessions WHERE run_id = ? ORDER BY session"),
        "packages": rows(
            "SELECT DISTINCT package, version FROM packages JOIN sessions USING (environment_id) WHERE run_id = ?"
        ),
        "events": rows("SELECT at, kind, artifact_id, message FROM events WHERE run_id = ? ORDER BY number"),
    }


def _stages(store: Store, run_id: str, state: State) -> list[StageStatus]:
    """One row for every artifact that the run used or tried to make, in the order of the pipeline."""
    uses = store.db.query(
        "SELECT stage, artifact_id, how, json_group_array(arm) AS arms, facts FROM uses LEFT JOIN artifacts"
        " USING (artifact_id, stage) WHERE run_id = ? GROUP BY artifact_id",
        run_id,
    )
    rows = store.db.select(AttemptRow, "SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id)
    attempts = {row["artifact_id"]: row for row in rows}
    statuses = [_used(use, attempts.pop(use["artifact_id"], None)) for use in uses]
    statuses += [_unfinished(attempt, state) for attempt in attempts.values()]
    seen = {status["stage"] for status in statuses}
    if state != "done":
        pending = [name for name in stages() if name not in seen]
        statuses += [{"stage": name, "arms": [], "state": "pending", "facts": {}} for name in pending]
    order = list(stages())
    return sorted(statuses, key=lambda status: order.index(status["stage"]))


def _used(use: dict[str, Any], attempt: AttemptRow | None) -> StageStatus:
    def rounded(value: float | None) -> float | None:
        return round(value, 1) if value else None

    return {
        "stage": use["stage"],
        "arms": json.loads(use["arms"]),
        "facts": json.loads(use["facts"] or "{}"),
        "state": "done" if use["how"] == "made" else "reused",
        "wall_s": rounded(attempt["wall_s"]) if attempt else None,
        "peak_memory_mb": rounded(attempt["peak_memory_mb"]) if attempt else None,
    }


def _unfinished(attempt: AttemptRow, run_state: State) -> StageStatus:
    left_open = attempt["state"] == "running" and run_state != "running"
    return {
        "stage": attempt["artifact_id"].split("/")[0],
        "arms": json.loads(attempt["arms"]),
        "state": "interrupted" if left_open else attempt["state"],
        "facts": {},
        "error": attempt["error"],
    }
