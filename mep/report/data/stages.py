"""What the stages of a run came to and what they cost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from mep.report.data.arms import Arm
from mep.stages import stages
from mep.store import Store
from mep.store.database import Row


@dataclass(frozen=True)
class StageReport:
    """One artifact that the run used or tried to make.

    arms        labels of those that it serves, or would have served
    state       made, reused, failed, interrupted or running
    attempts    those of this run; for a reused artifact, those of the run that made it
    made_by     the run that made it, empty where it was not finished
    """

    artifact_id: str
    arms: tuple[str, ...]
    state: str
    attempts: list[Row]
    made_by: str = ""
    facts: Row = field(default_factory=dict)
    error: str = ""

    @property
    def stage(self) -> str:
        return self.artifact_id.split("/")[0]

    @property
    def wall_s(self) -> float | None:
        """All attempts together."""
        times = [row["wall_s"] for row in self.attempts if row["wall_s"] is not None]
        return sum(times) if times else None

    @property
    def peak_memory_mb(self) -> float | None:
        return max((row["peak_memory_mb"] for row in self.attempts if row["peak_memory_mb"] is not None), default=None)


def read_stages(store: Store, run_id: str, state: str, arms: Sequence[Arm]) -> list[StageReport]:
    """One row an artifact of a run, in the order of the pipeline.

    state       of the run
    arms        those of the run
    """
    labels = {arm.name: arm.label for arm in arms}
    attempts: dict[str, list[Row]] = {}
    for row in store.db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id):
        attempts.setdefault(row["artifact_id"], []).append(row)
    users: dict[str, list[Row]] = {}
    for row in store.db.query(
        "SELECT uses.artifact_id, uses.arm, uses.how, artifacts.facts, artifacts.made_by FROM uses"
        " JOIN arms USING (run_id, arm) LEFT JOIN artifacts USING (artifact_id)"
        " WHERE uses.run_id = ? ORDER BY arms.position",
        run_id,
    ):
        users.setdefault(row["artifact_id"], []).append(row)
    reports = []
    for artifact_id, uses in users.items():
        made_by = uses[0]["made_by"] or ""
        tries = attempts.pop(artifact_id, None) or store.db.query(
            "SELECT * FROM attempts WHERE artifact_id = ? AND run_id = ? ORDER BY attempt_id", artifact_id, made_by
        )
        used_by, facts = tuple(labels[use["arm"]] for use in uses), json.loads(uses[0]["facts"] or "{}")
        reports.append(StageReport(artifact_id, used_by, uses[0]["how"], tries, made_by, facts))
    reports += [_unused(artifact_id, tries, state, labels) for artifact_id, tries in attempts.items()]
    order = list(stages())
    return sorted(reports, key=lambda report: order.index(report.stage))


def _unused(artifact_id: str, attempts: list[Row], run_state: str, labels: dict[str, str]) -> StageReport:
    """What the run tried to make and never used."""
    last = attempts[-1]
    arms = tuple(labels.get(arm, arm) for arm in json.loads(last["arms"]))
    state = "interrupted" if last["state"] == "running" and run_state != "running" else last["state"]
    error = last["error"] if state == "failed" else ""
    # done: the run was killed before it could note the use
    return StageReport(artifact_id, arms, "made" if state == "done" else state, attempts, error=error)
