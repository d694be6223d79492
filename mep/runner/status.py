"""What the provenance says about runs."""

import json
from collections.abc import Mapping

from mep.runner.slurm_queue import queue_of
from mep.stages import stages
from mep.store import Store
from mep.store.database import Row
from mep.store.runs import State, find_run, state_of


def all_runs(store: Store) -> list[Row]:
    """Every run, oldest first; `state` is derived."""
    rows = store.db.query(
        "SELECT state, (SELECT json_group_array(arm) FROM (SELECT arm FROM arms WHERE run_id = runs.run_id"
        " ORDER BY position)) AS arms, run_id, name, recipe_file, started_at, ended_at, error,"
        " (SELECT count(*) FROM sessions WHERE run_id = runs.run_id) AS sessions,"
        " EXISTS (SELECT * FROM pins WHERE run_id = runs.run_id AND unpinned_at IS NULL) AS pinned"
        " FROM runs ORDER BY started_at, run_id"
    )
    return [
        row | {"state": state_of(row, store), "arms": json.loads(row["arms"]), "pinned": bool(row["pinned"])}
        for row in rows
    ]


def status_of(store: Store, name: str | None) -> Row:
    """State of a run, its error, and the status of each of its stages, its jobs of Slurm among it."""
    run = find_run(store, name)
    run_id, state = run["run_id"], state_of(run, store)
    queue = {} if state == "done" else queue_of(store, run_id, goes_on=state == "running")
    return {"run_id": run_id, "state": state, "error": run["error"], "stages": _stages(store, run_id, state, queue)}


def details_of(store: Store, name: str | None) -> Row:
    """Everything that the provenance holds on a run."""
    run = find_run(store, name)

    def rows(sql: str) -> list[Row]:
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


def _stages(store: Store, run_id: str, state: State, queue: Mapping[str, Row]) -> list[Row]:
    """One row for every artifact that the run used or tried to make, in the order of the pipeline."""
    uses = store.db.query(
        "SELECT stage, artifact_id, how, json_group_array(arm) AS arms, facts FROM uses LEFT JOIN artifacts"
        " USING (artifact_id, stage) WHERE run_id = ? GROUP BY artifact_id",
        run_id,
    )
    attempts = {
        row["artifact_id"]: row
        for row in store.db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id)
    }
    statuses = [_used(use, attempts.pop(use["artifact_id"], {})) for use in uses]
    for attempt in attempts.values():
        left_open = attempt["state"] == "running" and state != "running"
        unfinished = {"stage": attempt["artifact_id"].split("/")[0], "arms": json.loads(attempt["arms"])}
        unfinished |= {"state": "interrupted" if left_open else attempt["state"], "facts": {}}
        job = {"job": queue[attempt["artifact_id"]]} if attempt["artifact_id"] in queue else {}
        statuses.append(unfinished | {"error": attempt["error"]} | job)
    order = list(stages())
    if state != "done":
        pending = [name for name in order if name not in {status["stage"] for status in statuses}]
        statuses += [{"stage": name, "arms": [], "state": "pending", "facts": {}} for name in pending]
    return sorted(statuses, key=lambda status: order.index(status["stage"]))


def _used(use: Row, attempt: Row) -> Row:
    def rounded(column: str) -> float | None:
        return round(attempt[column], 1) if attempt.get(column) else None

    return {
        "stage": use["stage"],
        "arms": json.loads(use["arms"]),
        "facts": json.loads(use["facts"] or "{}"),
        "state": "done" if use["how"] == "made" else "reused",
        "wall_s": rounded("wall_s"),
        "peak_memory_mb": rounded("peak_memory_mb"),
    }
