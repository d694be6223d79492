"""The plan: every distinct piece of work of all arms, in order, and whether it is done already."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from mep.artifacts import Artifact
from mep.config import Config
from mep.errors import EnvironmentLacks
from mep.recipe import Recipe
from mep.recipe.model import Experiment, training_of
from mep.runner.fingerprint import differences, externals_of, ingredients_of, seed_of
from mep.stage import Stage
from mep.stages import maker_of, stages, stages_of
from mep.store import Store
from mep.store.manifest import Ingredients, fingerprint_of

Status = Literal["reuse", "fetch", "run", "continue"]


@dataclass
class Task:
    """One stage with one fingerprint, for all arms that need it.

    inputs      parameter of the stage -> the task that makes it
    status      reuse: the store has it; fetch: a shared store has it; continue: unfinished work is there; run: neither
    why         what it waits for, what changed or where it comes from, for the reader
    """

    stage: Stage
    config: Config
    fingerprint: str
    ingredients: Ingredients
    inputs: "dict[str, Task]"
    seed: int
    status: Status
    why: str
    arms: list[str] = field(default_factory=list)
    fetch_bytes: int = 0

    @property
    def is_made(self) -> bool:
        """Whether somebody has made it already, here or elsewhere."""
        return self.status in ("reuse", "fetch")

    @property
    def artifact_id(self) -> str:
        return f"{self.stage.name}/{self.fingerprint}"


@dataclass(frozen=True)
class Plan:
    """
    tasks   in an order in which each follows its inputs
    lacks   models of the hub whose commit cannot be known here; what depends on them has no fingerprint yet
    """

    recipe: Recipe
    tasks: list[Task]
    lacks: list[EnvironmentLacks] = field(default_factory=list)

    def of_arm(self, arm: str) -> dict[str, Task]:
        return {task.stage.name: task for task in self.tasks if arm in task.arms}

    def count(self, status: Status) -> int:
        return sum(task.status == status for task in self.tasks)


def make_plan(recipe: Recipe, store: Store, ask: Callable[[list[Task]], None] | None = None) -> Plan:
    """Fingerprint every stage of every arm and look it up in the store.

    ask     marks those tasks that a shared store has, where there are such
    """
    store.roll_forward()
    planner = _Planner(store)
    tasks: dict[str, Task] = {}
    for arm, experiment in recipe.arms.items():
        of_arm: dict[str, Task] = {}
        for stage in stages_of(experiment.made_elsewhere).values():
            kinds = stage.reads(stage.view(experiment))
            inputs = {role: of_arm[maker_of(kind).name] for role, kind in kinds.items()}
            task = planner.task(stage, arm, experiment, inputs)
            task = tasks.setdefault(task.artifact_id, task)
            task.arms.append(arm)
            of_arm[stage.name] = task
    store.hashes.save()
    order = list(stages())
    ordered = sorted(tasks.values(), key=lambda task: order.index(task.stage.name))
    if ask is not None:
        ask(ordered)
    for task in ordered:
        if not task.is_made:
            task.why = planner.why(task)
    return Plan(recipe, ordered, list(planner.lacks.values()))


class _Planner:
    """Makes tasks; what many arms share is looked up once."""

    def __init__(self, store: Store):
        self.store = store
        self.externals: dict[str, list[list[Any]]] = {}
        self.lacks: dict[str, EnvironmentLacks] = {}
        self.earlier: dict[str, list[Ingredients]] = {}

    def task(self, stage: Stage, arm: str, experiment: Experiment, inputs: dict[str, Task]) -> Task:
        config = stage.view(experiment)
        seed = experiment.seed, training_of(arm) if stage.repeats else 1
        sources = {role: task.artifact_id for role, task in inputs.items()}
        ingredients = ingredients_of(stage, config, self._externals(stage, config), sources, seed)
        fingerprint = fingerprint_of(ingredients)
        status = self._status(f"{stage.name}/{fingerprint}")
        return Task(stage, config, fingerprint, ingredients, inputs, seed_of(seed), status, "")

    def _externals(self, stage: Stage, config: Config) -> list[list[Any]]:
        key = f"{stage.name} {config.model_dump_json()}"
        if key not in self.externals:
            try:
                self.externals[key] = externals_of(config, self.store.hashes.of)
            except EnvironmentLacks as lack:
                self.externals[key] = [["unknown", {"content": lack.message}]]
                self.lacks.setdefault(lack.message, lack)
        return self.externals[key]

    def _status(self, artifact_id: str) -> Status:
        if self.store.has(artifact_id):
            return "reuse"
        unfinished = any(path.is_file() for path in self.store.work_folder(artifact_id).rglob("*"))
        return "continue" if unfinished else "run"

    def why(self, task: Task) -> str:
        """The fewest differences to any earlier result of the stage."""
        stage, ingredients = task.stage, task.ingredients
        waits_for = [source.stage.name for source in task.inputs.values() if not source.is_made]
        if stage.name not in self.earlier:
            rows = self.store.db.query(
                "SELECT ingredients FROM artifacts WHERE stage = ? ORDER BY made_at DESC LIMIT 100", stage.name
            )
            self.earlier[stage.name] = [json.loads(row["ingredients"]) for row in rows]
        every = (differences(earlier, ingredients, stage.section) for earlier in self.earlier[stage.name])
        fewest = min(every, key=len, default=None)
        if fewest is None:
            return "first time"
        changes = [text for text in fewest if not text.startswith("input ")]
        if changes:
            return "; ".join(changes[:3]) + ("; ..." if len(changes) > 3 else "")
        return f"after {', '.join(waits_for)}" if waits_for else "its artifact is missing or damaged"


def inputs_of(task: Task, store: Store) -> dict[str, Artifact]:
    """What a stage reads, by the parameter of its function."""
    return {role: store.load(made.stage.output, made.artifact_id, made.config) for role, made in task.inputs.items()}


def lineage_of(task: Task) -> dict[str, dict[str, object]]:
    """Stage -> version, settings, outside content and seed, of a task and of all that it depends on, in order."""
    lineage: dict[str, dict[str, object]] = {}
    for source in task.inputs.values():
        lineage |= lineage_of(source)
    kept = {name: value for name, value in task.ingredients.items() if name not in ("stage", "inputs") and value}
    return lineage | {task.stage.name: kept}
