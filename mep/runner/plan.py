"""The plan: every distinct piece of work of all arms, in order, and whether it is done already."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from mep.config import Config
from mep.errors import EnvironmentLacks
from mep.recipe import Recipe
from mep.recipe.model import repeat_of
from mep.runner.fingerprint import Seed, differences, externals_of, fingerprint_of, ingredients_of, seed_of
from mep.stage import Stage
from mep.stages import maker_of, stages
from mep.store import Store

Status = Literal["reuse", "run", "continue"]


@dataclass
class Task:
    """One stage with one fingerprint, for all arms that need it.

    inputs      parameter of the stage -> the task that makes it
    status      reuse: the store has it; continue: unfinished work is there; run: neither
    why         what it waits for or what changed, for the reader
    """

    stage: Stage
    config: Config
    fingerprint: str
    ingredients: dict[str, Any]
    inputs: "dict[str, Task]"
    seed: int
    status: Status
    why: str
    arms: list[str] = field(default_factory=list)

    @property
    def artifact_id(self) -> str:
        return f"{self.stage.name}/{self.fingerprint}"


@dataclass(frozen=True)
class Plan:
    """
    tasks   in an order in which each follows its inputs
    lacks   models of the hub whose commit cannot be told here; what depends on them has no fingerprint yet
    """

    recipe: Recipe
    tasks: list[Task]
    lacks: list[EnvironmentLacks] = field(default_factory=list)

    def of_arm(self, arm: str) -> dict[str, Task]:
        return {task.stage.name: task for task in self.tasks if arm in task.arms}

    def count(self, status: Status) -> int:
        return sum(task.status == status for task in self.tasks)


def make_plan(recipe: Recipe, store: Store) -> Plan:
    """Fingerprint every stage of every arm and look it up in the store."""
    store.roll_forward()
    tasks: dict[str, Task] = {}
    externals: dict[str, list[list[Any]]] = {}
    lacks: dict[str, EnvironmentLacks] = {}
    history = _History(store)
    for arm, experiment in recipe.arms.items():
        made: dict[str, Task] = {}
        for stage in stages().values():
            config = stage.view(getattr(experiment, stage.section))
            key = f"{stage.name} {config.model_dump_json()}"
            if key not in externals:
                try:
                    externals[key] = externals_of(config, store.hash_file)
                except EnvironmentLacks as lack:
                    externals[key] = [["unknown", {"content": lack.message}]]
                    lacks.setdefault(lack.message, lack)
            inputs = {role: made[maker_of(kind).name] for role, kind in stage.inputs.items()}
            repeat = repeat_of(arm)[1] if stage.repeats else 1
            task = _task(stage, config, externals[key], inputs, (experiment.seed, repeat), store, history)
            task = tasks.setdefault(task.artifact_id, task)
            task.arms.append(arm)
            made[stage.name] = task
    store.remember_hashes()
    order = {name: place for place, name in enumerate(stages())}
    ordered = sorted(tasks.values(), key=lambda task: order[task.stage.name])
    return Plan(recipe, ordered, list(lacks.values()))


def _task(
    stage: Stage,
    config: Config,
    externals: list[list[Any]],
    inputs: dict[str, Task],
    seed: Seed,
    store: Store,
    history: "_History",
) -> Task:
    sources = {role: task.artifact_id for role, task in inputs.items()}
    ingredients = ingredients_of(stage, config, externals, sources, seed)
    fingerprint = fingerprint_of(ingredients)
    status: Status = "run"
    if store.has(stage.name, fingerprint):
        status, why = "reuse", ""
    else:
        unfinished = store.work_folder(stage.name, fingerprint)
        if unfinished.exists() and any(path.is_file() for path in unfinished.rglob("*")):
            status = "continue"
        waiting = [task.stage.name for task in inputs.values() if task.status != "reuse"]
        why = history.explain(stage, ingredients, waiting)
    return Task(stage, config, fingerprint, ingredients, inputs, seed_of(seed), status, why)


def lineage_of(task: Task) -> dict[str, Any]:
    """Stage -> version, settings, outside content and seed, of a task and of all that it depends on, in order."""
    found: dict[str, Any] = {}
    for one in task.inputs.values():
        found |= lineage_of(one)
    kept = {name: value for name, value in task.ingredients.items() if name not in ("stage", "inputs") and value}
    return found | {task.stage.name: kept}


class _History:
    """Earlier artifacts of each stage, to say what changed since."""

    def __init__(self, store: Store):
        self.store = store
        self.known: dict[str, list[dict[str, Any]]] = {}

    def explain(self, stage: Stage, ingredients: dict[str, Any], waiting: list[str]) -> str:
        """The fewest differences to any earlier result of this stage."""
        changed = min((differences(old, ingredients, stage.section) for old in self._of(stage)), key=len, default=None)
        if changed is None:
            return "first time"
        own = [text for text in changed if not text.startswith("input ")]
        if own:
            return "; ".join(own[:3]) + ("; ..." if len(own) > 3 else "")
        return f"after {', '.join(waiting)}" if waiting else "its artifact is missing or damaged"

    def _of(self, stage: Stage) -> Iterator[dict[str, Any]]:
        import json

        if stage.name not in self.known:
            rows = self.store.db.query(
                "SELECT ingredients FROM artifacts WHERE stage = ? ORDER BY made_at DESC LIMIT 100", stage.name
            )
            self.known[stage.name] = [json.loads(row["ingredients"]) for row in rows]
        yield from self.known[stage.name]
