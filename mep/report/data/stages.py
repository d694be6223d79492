"""What the stages of a run came to and what they cost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from mep.report.data.arms import Arm
from mep.stages import stages
from mep.store import Store
from mep.store.database import Row


@dataclass(frozen=True)
class StageReport:
    """One artifact that the run used or tried to make.

    arms        labels of those that it serves, or would have served
    state       made, reused, failed, interrupted or running
    wall_s      all attempts of this run together; for a reused artifact, those of the run that made it
    made_by     the run that made it, empty where it was not finished
    """

    artifact_id: str
    arms: tuple[str, ...]
    state: str
    wall_s: float | None
    peak_memory_mb: float | None
    n_attempts: int
    made_by: str = ""
    facts: Row = field(default_factory=dict)
    error: str = ""

    @property
    def stage(self) -> str:
        return self.artifact_id.split("/")[0]


def read_stages(store: Store, run_id: str, state: str, arms: Sequence[Arm]) -> list[StageReport]:
    """One row an artifact of a run, in the order of the pipeline.

    state       of the run
    arms        those of the run
    """
    labels = {arm.name: arm.label for arm in arms}
    attempts: dict[str, list[Row]] = {}
    for row in store.db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id):
        attempts.setdefault(row["artifact_id"], []).append(row)
    reports = []
    for artifact_id, uses in _uses(store, run_id).items():
        made_by = uses[0]["made_by"] or ""
        costs = attempts.pop(artifact_id, None) or store.db.query(
            "SELECT * FROM attempts WHERE artifact_id = ? AND run_id = ? ORDER BY attempt_id", artifact_id, made_by
        )
        report = StageReport(
            artifact_id=artifact_id,
            arms=tuple(labels[use["arm"]] for use in uses),
            state=uses[0]["how"],
            **_cost_of(costs),
            made_by=made_by,
            facts=json.loads(uses[0]["facts"] or "{}"),
        )
        reports.append(report)
    reports += [_unused(artifact_id, tries, state, labels) for artifact_id, tries in attempts.items()]
    order = list(stages())
    return sorted(reports, key=lambda report: order.index(report.stage))


def _uses(store: Store, run_id: str) -> dict[str, list[Row]]:
    """Artifact -> how each arm of the run came by it, in the order of the arms."""
    uses: dict[str, list[Row]] = {}
    for row in store.db.query(
        "SELECT uses.artifact_id, uses.arm, uses.how, artifacts.facts, artifacts.made_by FROM uses"
        " JOIN arms USING (run_id, arm) LEFT JOIN artifacts USING (artifact_id)"
        " WHERE uses.run_id = ? ORDER BY arms.position",
        run_id,
    ):
        uses.setdefault(row["artifact_id"], []).append(row)
    return uses


def _unused(artifact_id: str, attempts: list[Row], run_state: str, labels: dict[str, str]) -> StageReport:
    """What the run tried to make and never used."""
    last = attempts[-1]
    state = "interrupted" if last["state"] == "running" and run_state != "running" else last["state"]
    return StageReport(
        artifact_id=artifact_id,
        arms=tuple(labels.get(arm, arm) for arm in json.loads(last["arms"])),
        state="made" if state == "done" else state,  # the run was killed before it could note the use
        **_cost_of(attempts),
        error=last["error"] if state == "failed" else "",
    )


class _Cost(TypedDict):
    wall_s: float | None
    peak_memory_mb: float | None
    n_attempts: int


def _cost_of(attempts: list[Row]) -> _Cost:
    seconds = [row["wall_s"] for row in attempts if row["wall_s"] is not None]
    peaks = [row["peak_memory_mb"] for row in attempts if row["peak_memory_mb"] is not None]
    return {
        "wall_s": sum(seconds) if seconds else None,
        "peak_memory_mb": max(peaks, default=None),
        "n_attempts": len(attempts),
    }
