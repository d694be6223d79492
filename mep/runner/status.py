"""What the provenance says about runs, as plain rows."""

import json
from typing import Any

from mep.stages import stages
from mep.store import Store
from mep.store.runs import find_run, state_of


def all_runs(store: Store) -> list[dict[str, Any]]:
    """Every run, oldest first, with its derived state and the names of its arms."""
    rows = store.db.query("SELECT * FROM runs ORDER BY started_at, run_id")
    arms: dict[str, list[str]] = {}
    for row in store.db.query("SELECT run_id, arm FROM arms ORDER BY run_id, position"):
        arms.setdefault(row["run_id"], []).append(row["arm"])
    sessions = {
        row["run_id"]: row["n"] for row in store.db.query("SELECT run_id, count(*) AS n FROM sessions GROUP BY run_id")
    }
    pinned = {row["run_id"] for row in store.db.query("SELECT run_id FROM pins WHERE unpinned_at IS NULL")}
    columns = ("run_id", "name", "recipe_file", "started_at", "ended_at", "error")
    return [
        {"state": state_of(row, store), "arms": arms.get(row["run_id"], [])}
        | {name: row[name] for name in columns}
        | {"sessions": sessions.get(row["run_id"], 0), "pinned": row["run_id"] in pinned}
        for row in rows
    ]


def status_of(store: Store, name: str | None) -> dict[str, Any]:
    """State of a run, and of each of its stages: done, reused, running, failed, interrupted or pending."""
    row = find_run(store, name)
    run_id, state = row["run_id"], state_of(row, store)
    return {"run_id": run_id, "state": state, "error": row["error"], "stages": _stages(store, run_id, state)}


def details_of(store: Store, name: str | None) -> dict[str, Any]:
    """Everything that the provenance holds on a run."""
    row = find_run(store, name)
    run_id = row["run_id"]
    artifacts = store.db.query("SELECT arm, stage, how, artifact_id FROM uses WHERE run_id = ? ORDER BY rowid", run_id)
    parameters = store.db.query(
        "SELECT arm, field, value, origin FROM parameters WHERE run_id = ? ORDER BY rowid", run_id
    )
    return dict(row) | {
        "state": state_of(row, store),
        "environment": json.loads(row["environment"]),
        "artifacts": [one | {"folder": str(store.root / "store" / one["artifact_id"])} for one in artifacts],
        "parameters": parameters,
        "attempts": store.db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id),
        "sessions": store.db.query("SELECT * FROM run_sessions WHERE run_id = ? ORDER BY session", run_id),
        "packages": store.db.query(
            "SELECT DISTINCT package, version FROM packages JOIN sessions USING (environment_id) WHERE run_id = ?",
            run_id,
        ),
        "events": store.db.query(
            "SELECT at, kind, artifact_id, message FROM events WHERE run_id = ? ORDER BY number", run_id
        ),
    }


def _stages(store: Store, run_id: str, state: str) -> list[dict[str, Any]]:
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
    rows = []
    for use in uses:
        cost = attempts.pop(use["artifact_id"], {})
        rows.append(
            {"stage": use["stage"], "arms": json.loads(use["arms"]), "facts": json.loads(use["facts"] or "{}")}
            | {"state": "done" if use["how"] == "made" else "reused"}
            | {name: round(cost[name], 1) if cost.get(name) else None for name in ("wall_s", "peak_memory_mb")}
        )
    for artifact_id, attempt in attempts.items():
        ended = "interrupted" if attempt["state"] == "running" and state != "running" else attempt["state"]
        rows.append(
            {"stage": artifact_id.split("/")[0], "arms": json.loads(attempt["arms"]), "state": ended, "facts": {}}
            | {"error": attempt["error"]}
        )
    seen = {row["stage"] for row in rows}
    if state != "done":
        rows += [{"stage": name, "arms": [], "state": "pending", "facts": {}} for name in stages() if name not in seen]
    order = list(stages())
    return sorted(rows, key=lambda row: order.index(row["stage"]))
