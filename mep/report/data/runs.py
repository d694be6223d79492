"""Everything that a page shows of runs, gathered from the run's folder, the database and the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Generic

from mep.artifacts import Artifact
from mep.errors import UsageError
from mep.recipe import load_recipe
from mep.recipe.load import Recipe
from mep.report.data.arms import Arm, read_arms
from mep.report.data.artifacts import ArtifactT, OpenArm, open_arm
from mep.report.data.kept import NAME, Kept
from mep.report.data.stages import StageReport, read_stages
from mep.runner.status import details_of
from mep.store import Store
from mep.store.database import Row


@dataclass(frozen=True, eq=False)
class RunReport:
    """A run and its arms; the first is the baseline.

    state           done, failed, running or interrupted, derived
    provenance      what the database has on the run, as `mep show --json` prints it
    recipe          as it was resolved
    recipe_text     as it was given
    """

    run_id: str
    state: str
    provenance: dict[str, Any]
    recipe: Recipe
    recipe_text: str
    arms: list[OpenArm]
    stages: list[StageReport]

    @property
    def duration_s(self) -> float | None:
        started_at, ended_at = self.provenance["started_at"], self.provenance["ended_at"]
        ended = datetime.fromisoformat(ended_at) if ended_at else None
        return (ended - datetime.fromisoformat(started_at)).total_seconds() if ended else None

    def seconds_of(self, *, reused: bool) -> float:
        """Work on what this run reused, or on what it made itself: all attempts."""
        return sum(stage.wall_s or 0 for stage in self.stages if (stage.state == "reused") == reused)

    @property
    def stops(self) -> list[Row]:
        """All attempts where at least one did not end well; else none, for there is no history to tell."""
        attempts: list[Row] = self.provenance["attempts"]
        return [] if all(attempt["state"] in ("done", "running") for attempt in attempts) else attempts


@dataclass(frozen=True, eq=False)
class Shared(Generic[ArtifactT]):
    """An artifact and the arms that share it."""

    arms: list[OpenArm]
    artifact: ArtifactT

    @property
    def labels(self) -> list[str]:
        return [arm.label for arm in self.arms]


@dataclass(frozen=True, eq=False)
class Report:
    """One run or several, and the arms of all of them; the first is the baseline of a single run."""

    store: Store
    runs: list[RunReport]

    @cached_property
    def kept(self) -> Kept:
        """What earlier pages of the store were made of."""
        return Kept(self.store.root / "cache" / NAME)

    @property
    def arms(self) -> list[OpenArm]:
        return [arm for run in self.runs for arm in run.arms]

    @property
    def name(self) -> str:
        return self.runs[0].recipe.name if len(self.runs) == 1 else f"{len(self.runs)} runs"

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
    arms, loaded = read_arms(store, run_ids), dict[str, Artifact | None]()
    return Report(store, [_run(store, run_id, arms, loaded) for run_id in dict.fromkeys(run_ids)])


def _run(store: Store, run_id: str, arms: list[Arm], loaded: dict[str, Artifact | None]) -> RunReport:
    folder, provenance = store.run_folder(run_id), details_of(store, run_id)
    if not (folder / "recipe.lock.yaml").exists():
        raise UsageError(f"{folder} no longer holds the recipe of the run", hint="run the recipe again")
    recipe, given = load_recipe(folder / "recipe.lock.yaml", paths_must_exist=False), folder / "recipe.yaml"
    arms_of_run = [open_arm(store, arm, recipe.arms[arm.name], loaded) for arm in arms if arm.run_id == run_id]
    return RunReport(
        run_id=run_id,
        state=provenance["state"],
        provenance=provenance,
        recipe=recipe,
        recipe_text=given.read_text(encoding="utf-8") if given.exists() else "",
        arms=arms_of_run,
        stages=read_stages(store, run_id, provenance["state"], arms_of_run),
    )
