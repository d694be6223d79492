"""Everything that a report shows, gathered from the run's folder, the provenance and the store."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from mep.artifacts import (
    Artifact,
    Assignment,
    BaseModel,
    Clusters,
    Images,
    Inliers,
    Model,
    Prompts,
    Samples,
    Scores,
    TrainingSet,
    Utility,
)
from mep.errors import UsageError
from mep.recipe import load_recipe
from mep.recipe.model import Experiment
from mep.stages import maker_of, stages
from mep.store import Store
from mep.store.runs import state_of

ArtifactT = TypeVar("ArtifactT", bound=Artifact)

SHOWN = (
    *(Images, Inliers, Clusters, TrainingSet, Prompts, BaseModel, Model),
    *(Samples, Assignment, Scores, Utility),
)
"""What a report reads at once. Embeddings and features are read when the maps are drawn."""


@dataclass(frozen=True, eq=False)
class ArmReport:
    """One arm: what it is, what it has reached, what it lacks.

    name            its label in tables: the arm's own where one run is shown, else with the run
    artifact_ids    stage -> stage/fingerprint of every artifact that is there
    missing         stages without an artifact, in the order of the pipeline
    lost            those of them that had one, whose files are gone or cut short
    """

    name: str
    experiment: Experiment
    artifact_ids: dict[str, str]
    missing: list[str]
    lost: list[str]
    artifacts: dict[type[Artifact], Artifact]

    def get(self, kind: type[ArtifactT]) -> ArtifactT | None:
        """The arm's artifact of a type, None where it is missing."""
        found = self.artifacts.get(kind)
        return found if isinstance(found, kind) else None

    def id_of(self, kind: type[Artifact]) -> str | None:
        """Name of the artifact; arms that share it have the same."""
        return self.artifact_ids.get(maker_of(kind).name)


@dataclass(frozen=True)
class StageReport:
    """One artifact that the run used or tried to make.

    arms        those that it serves, or would have served
    state       made, reused, failed, interrupted or running
    wall_s      all attempts of this run together; for a reused artifact, those of the run that made it
    made_by     the run that made it, empty where it was not finished
    """

    stage: str
    artifact_id: str
    arms: tuple[str, ...]
    state: str
    wall_s: float | None
    peak_memory_mb: float | None
    n_attempts: int
    made_by: str
    facts: dict[str, Any]
    error: str


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
    environment: dict[str, Any]
    recipe_text: str
    lock_text: str
    arms: list[ArmReport]
    stages: list[StageReport]
    attempts: list[dict[str, Any]]
    origins: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    packages: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @property
    def duration_s(self) -> float | None:
        if self.ended_at is None:
            return None
        return (datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.started_at)).total_seconds()

    @property
    def made_s(self) -> float:
        """Seconds of work on what this run made itself, all attempts."""
        return sum(one.wall_s for one in self.stages if one.wall_s and one.state != "reused")

    @property
    def reused_s(self) -> float:
        return sum(one.wall_s for one in self.stages if one.wall_s and one.state == "reused")

    @property
    def stops(self) -> list[dict[str, Any]]:
        """All attempts, where one of them did not end well; else none, for there is no history to tell."""
        return self.attempts if any(one["state"] not in ("done", "running") for one in self.attempts) else []


@dataclass(frozen=True, eq=False)
class Report:
    """One run or several, and the arms of all of them; the first is the baseline of a single run."""

    store: Store
    runs: list[RunReport]

    @property
    def arms(self) -> list[ArmReport]:
        return [arm for run in self.runs for arm in run.arms]

    @property
    def name(self) -> str:
        return self.runs[0].name if len(self.runs) == 1 else f"{len(self.runs)} runs"

    def sharing(self, kind: type[ArtifactT]) -> list[tuple[list[str], ArtifactT]]:
        """Every distinct artifact of a type, with the names of the arms that share it."""
        found: dict[str, tuple[list[str], ArtifactT]] = {}
        for arm in self.arms:
            artifact, artifact_id = arm.get(kind), arm.id_of(kind)
            if artifact is not None and artifact_id is not None:
                found.setdefault(artifact_id, ([], artifact))[0].append(arm.name)
        return list(found.values())


def gather(store: Store, run_ids: Sequence[str]) -> Report:
    """Runs as they stand, finished or not.

    UsageError      there is no such run, or its folder is gone
    RecipeError     its locked recipe no longer loads
    """
    loaded: dict[str, Artifact] = {}
    return Report(store, [_run(store, run_id, loaded, several=len(run_ids) > 1) for run_id in dict.fromkeys(run_ids)])


def _run(store: Store, run_id: str, loaded: dict[str, Artifact], *, several: bool) -> RunReport:
    rows = store.db.query("SELECT * FROM runs WHERE run_id = ?", run_id)
    if not rows:
        raise UsageError(f"there is no run '{run_id}' in {store.root}", hint="see them: mep ls")
    folder, row = store.run_folder(run_id), rows[0]
    if not (folder / "recipe.lock.yaml").exists():
        raise UsageError(f"{folder} no longer holds the recipe of the run", hint="run the recipe again")
    recipe = load_recipe(folder / "recipe.lock.yaml", paths_must_exist=False)
    given = folder / "recipe.yaml"
    state = state_of(row, store)
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
        arms=[
            _arm(store, run_id, name, f"{run_id}/{name}" if several else name, experiment, loaded, state)
            for name, experiment in recipe.arms.items()
        ],
        stages=_stages(store, run_id, state, f"{run_id}/" if several else ""),
        attempts=store.db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id),
        origins=store.db.query(
            "SELECT arm, field, value, origin FROM parameters WHERE run_id = ? AND origin != 'default' ORDER BY rowid",
            run_id,
        ),
        sessions=store.db.query("SELECT * FROM run_sessions WHERE run_id = ? ORDER BY session", run_id),
        packages=store.db.query(
            "SELECT DISTINCT package, version FROM packages JOIN sessions USING (environment_id) WHERE run_id = ?"
            " ORDER BY package",
            run_id,
        ),
        events=store.db.query(
            "SELECT at, kind, artifact_id, message FROM events WHERE run_id = ? ORDER BY number", run_id
        ),
    )


def _arm(
    store: Store, run_id: str, name: str, label: str, experiment: Experiment, loaded: dict[str, Artifact], state: str
) -> ArmReport:
    """`loaded` holds artifacts by name, so that those which arms share are read once."""
    uses = store.db.query("SELECT stage, artifact_id FROM uses WHERE run_id = ? AND arm = ?", run_id, name)
    used = {use["stage"]: use["artifact_id"] for use in uses}
    there = {stage: known for stage, known in used.items() if store.has(stage, known.split("/")[1])}
    artifacts: dict[type[Artifact], Artifact] = {}
    for kind in SHOWN:
        stage = maker_of(kind)
        artifact_id = there.get(stage.name)
        if artifact_id is None:
            continue
        if artifact_id not in loaded:
            config = stage.view(getattr(experiment, stage.section))
            try:
                loaded[artifact_id] = store.load(stage, artifact_id.split("/")[1], config)
            except (OSError, KeyError, ValueError, TypeError):  # damaged, or written by another version of its stage
                del there[stage.name]
                continue
        artifacts[kind] = loaded[artifact_id]
    return ArmReport(
        name=label,
        experiment=experiment,
        artifact_ids=there,
        missing=[stage for stage in stages() if stage not in there and (stage in used or state != "done")],
        lost=[stage for stage in stages() if stage in used and stage not in there],
        artifacts=artifacts,
    )


def load(report: Report, arm: ArmReport, kind: type[ArtifactT]) -> ArtifactT | None:
    """An artifact that `gather` leaves alone because it is large; None where the arm has none that can be read."""
    stage = maker_of(kind)
    artifact_id = arm.artifact_ids.get(stage.name)
    if artifact_id is None:
        return None
    try:
        config = stage.view(getattr(arm.experiment, stage.section))
        found = report.store.load(stage, artifact_id.split("/")[1], config)
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return found if isinstance(found, kind) else None


def _stages(store: Store, run_id: str, state: str, before: str) -> list[StageReport]:
    """One row an artifact, in the order of the pipeline; `before` comes before the names of arms."""
    uses: dict[str, dict[str, Any]] = {}
    for row in store.db.query(
        "SELECT uses.artifact_id, uses.arm, uses.how, artifacts.facts, artifacts.made_by FROM uses"
        " JOIN arms USING (run_id, arm) LEFT JOIN artifacts USING (artifact_id)"
        " WHERE uses.run_id = ? ORDER BY arms.position",
        run_id,
    ):
        uses.setdefault(row["artifact_id"], row | {"arms": []})["arms"].append(before + row["arm"])
    attempts: dict[str, list[dict[str, Any]]] = {}
    for row in store.db.query("SELECT * FROM attempts WHERE run_id = ? ORDER BY attempt_id", run_id):
        attempts.setdefault(row["artifact_id"], []).append(row)
    found = []
    for artifact_id, use in uses.items():
        made_by = use["made_by"] or ""
        costs = attempts.pop(artifact_id, None) or store.db.query(
            "SELECT * FROM attempts WHERE artifact_id = ? AND run_id = ? ORDER BY attempt_id", artifact_id, made_by
        )
        facts = json.loads(use["facts"] or "{}")
        found.append(_stage(artifact_id, tuple(use["arms"]), use["how"], costs, made_by, facts))
    for artifact_id, costs in attempts.items():
        last = costs[-1]["state"]
        stopped = "interrupted" if last == "running" and state != "running" else last
        # an attempt that is done without a use: the run was killed before it could write the row
        arms = tuple(json.loads(costs[-1]["arms"]))
        found.append(_stage(artifact_id, arms, "made" if stopped == "done" else stopped, costs, "", {}))
    order = list(stages())
    return sorted(found, key=lambda one: order.index(one.stage))


def _stage(
    artifact_id: str,
    arms: tuple[str, ...],
    state: str,
    attempts: list[dict[str, Any]],
    made_by: str,
    facts: dict[str, Any],
) -> StageReport:
    seconds = [row["wall_s"] for row in attempts if row["wall_s"] is not None]
    peaks = [row["peak_memory_mb"] for row in attempts if row["peak_memory_mb"] is not None]
    return StageReport(
        stage=artifact_id.split("/")[0],
        artifact_id=artifact_id,
        arms=arms,
        state=state,
        wall_s=sum(seconds) if seconds else None,
        peak_memory_mb=max(peaks, default=None),
        n_attempts=len(attempts),
        made_by=made_by,
        facts=facts,
        error=attempts[-1]["error"] if attempts and state == "failed" else "",
    )
