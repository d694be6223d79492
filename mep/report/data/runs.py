"""Everything that a page shows of runs, gathered from the run's folder, the database and the store."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from mep.artifacts import Artifact
from mep.errors import UsageError
from mep.recipe import load_recipe
from mep.report.data.arms import Arm, read_arms
from mep.report.data.artifacts import ArmOpener, ArtifactT, OpenArm
from mep.report.data.stages import StageReport, read_stages
from mep.store import Store
from mep.store.database import Row
from mep.store.row_types import RunRow
from mep.store.runs import state_of


@dataclass(frozen=True, eq=False)
class RunReport:
    """A run and its arms; the first is the baseline.

    state           done, failed, running or interrupted, derived
    recipe_text     as it was given
    lock_text       as it was resolved
    attempts        every try at a stage, in order: what a run did before it was stopped, and after
    origins         arm, field, value and where it was written, for every field that is no default
    sessions        processes that worked on the run, and what they ran on
    packages        package and version
    events          what happened to the run besides its attempts
    """

    run_id: str
    name: str
    description: str
    state: str
    error: str
    started_at: str
    ended_at: str | None
    host: str
    environment: Row
    recipe_text: str
    lock_text: str
    arms: list[OpenArm]
    stages: list[StageReport]
    attempts: list[Row]
    origins: list[Row]
    sessions: list[Row]
    packages: list[Row]
    events: list[Row]

    @property
    def duration_s(self) -> float | None:
        if self.ended_at is None:
            return None
        return (datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.started_at)).total_seconds()

    @property
    def made_s(self) -> float:
        """Seconds of work on what this run made itself, all attempts."""
        return sum(stage.wall_s for stage in self.stages if stage.wall_s and stage.state != "reused")

    @property
    def reused_s(self) -> float:
        return sum(stage.wall_s for stage in self.stages if stage.wall_s and stage.state == "reused")

    @property
    def stops(self) -> list[Row]:
        """All attempts where at least one did not end well; else none, for there is no history to tell."""
        ended_well = all(attempt["state"] in ("done", "running") for attempt in self.attempts)
        return [] if ended_well else self.attempts


@dataclass(frozen=True, eq=False)
class Shared(Generic[ArtifactT]):
    """An artifact and the arms that share it."""

    arms: list[OpenArm]
    artifact: ArtifactT

    @property
    def first(self) -> OpenArm:
        return self.arms[0]

    @property
    def labels(self) -> list[str]:
        return [arm.label for arm in self.arms]


@dataclass(frozen=True, eq=False)
class Report:
    """One run or several, and the arms of all of them; the first is the baseline of a single run."""

    store: Store
    runs: list[RunReport]

    @property
    def arms(self) -> list[OpenArm]:
        return [arm for run in self.runs for arm in run.arms]

    @property
    def name(self) -> str:
        return self.runs[0].name if len(self.runs) == 1 else f"{len(self.runs)} runs"

    def sharing(self, kind: type[Artifact]) -> list[list[OpenArm]]:
        """The arms that have an artifact of a type, those with the same one together."""
        groups: dict[str, list[OpenArm]] = {}
        for arm in self.arms:
            if artifact_id := arm.id_of(kind):
                groups.setdefault(artifact_id, []).append(arm)
        return list(groups.values())

    def shared(self, kind: type[ArtifactT]) -> list[Shared[ArtifactT]]:
        """Every distinct artifact of a type that is read at once, with the arms that share it."""
        return [Shared(arms, artifact) for arms in self.sharing(kind) if (artifact := arms[0].get(kind)) is not None]


def gather(store: Store, run_ids: Sequence[str]) -> Report:
    """Runs as they stand, finished or not.

    UsageError      there is no such run, or its folder is gone
    RecipeError     its locked recipe no longer loads
    """
    arms, open_arm = read_arms(store, run_ids), ArmOpener(store)
    return Report(store, [_run(store, run_id, arms, open_arm) for run_id in dict.fromkeys(run_ids)])


def _run(store: Store, run_id: str, arms: list[Arm], open_arm: ArmOpener) -> RunReport:
    row = store.db.select(RunRow, "SELECT * FROM runs WHERE run_id = ?", run_id)[0]
    folder, state = store.run_folder(run_id), state_of(row, store)
    if not (folder / "recipe.lock.yaml").exists():
        raise UsageError(f"{folder} no longer holds the recipe of the run", hint="run the recipe again")
    recipe = load_recipe(folder / "recipe.lock.yaml", paths_must_exist=False)
    given = folder / "recipe.yaml"
    own_arms = [open_arm(arm, recipe.arms[arm.name]) for arm in arms if arm.run_id == run_id]

    def query(sql: str) -> list[Row]:
        return store.db.query(sql, run_id)

    return RunReport(
        run_id=run_id,
        name=recipe.name,
        description=recipe.description,
        state=state,
        error=row["error"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        host=row["host"],
        environment=json.loads(row["environment"]),
        recipe_text=given.read_text(encoding="utf-8") if given.exists() else "",
        lock_text=recipe.text,
        arms=own_arms,
        stages=read_stages(store, run_id, state, own_arms),
        attempts=query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id"),
        origins=query(
            "SELECT arm, field, value, origin FROM parameters WHERE run_id = ? AND origin != 'default' ORDER BY rowid"
        ),
        sessions=query("SELECT * FROM run_sessions WHERE run_id = ? ORDER BY session"),
        packages=query(
            "SELECT DISTINCT package, version FROM packages JOIN sessions USING (environment_id) WHERE run_id = ?"
            " ORDER BY package"
        ),
        events=query("SELECT at, kind, artifact_id, message FROM events WHERE run_id = ? ORDER BY number"),
    )
