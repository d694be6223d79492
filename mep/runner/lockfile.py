"""What a run was run with: it stands in the lock beside the recipe, and is compared with what is there now."""

import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import mep
from mep.config import Config, HashFile, leaves
from mep.errors import IntegrityError
from mep.machine.files import write_text
from mep.recipe import Recipe, lock_text
from mep.recipe.model import Experiment, repeat_of
from mep.runner.plan import Plan
from mep.store import Store

PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "timm",
    "numpy",
    "scipy",
    "scikit-learn",
    "hdbscan",
)
"""Packages that a result may depend on."""


def write_lock(plan: Plan, store: Store, folder: Path, locked: dict[str, Any]) -> None:
    """`recipe.lock.yaml`: every default, the commits of models, what the run is run with, and the counts of its data.

    locked      as `locked_of` gave it when the run began
    """
    known = locked | {"dataset": _counts(plan, store)}
    write_text(folder / "recipe.lock.yaml", lock_text(plan.recipe, folder, known))


def locked_of(recipe: Recipe, store: Store) -> dict[str, Any]:
    """Versions, and the content of everything that is read from outside.

    EnvironmentLacks    a model that cannot be resolved
    """
    found = versions() | {"inputs": inputs_of(recipe, store.hashes.of)}
    store.hashes.save()
    return found


def versions() -> dict[str, Any]:
    """Versions of mep, Python and the packages that a result may depend on."""
    return {"mep": mep.__version__, "python": platform.python_version(), "packages": _packages()}


def inputs_of(recipe: Recipe, hash_file: HashFile) -> dict[str, dict[str, str]]:
    """Field that names something outside the recipe -> its content: the sha256 of files, the commit of a model."""
    found: dict[str, dict[str, str]] = {}
    known: dict[tuple[type[Config], str], dict[str, str]] = {}  # most arms read the same
    for arm, experiment in recipe.arms.items():
        if repeat_of(arm)[1] > 1:
            continue
        for field, part in _parts(experiment):
            key = type(part), part.model_dump_json()
            if key not in known:
                known[key] = part.externals(hash_file)
            content = known[key]
            if content and found.setdefault(field, content) != content:
                found[f"arms.{arm}.{field}"] = content
    return found


def unlike(recipe: Recipe, now: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, as it was locked, as it is now) for everything that is not as a locked recipe has it."""
    if recipe.locked is None:
        return []
    before = dict(leaves({name: value for name, value in recipe.locked.items() if name != "dataset"}))
    after = dict(leaves(now))
    return [(name, str(value), str(after.get(name, "-"))) for name, value in before.items() if after.get(name) != value]


def refuse_unlike_inputs(plan: Plan, store: Store) -> None:
    """IntegrityError: data or a model is not what the recipe was locked with."""
    if plan.recipe.locked is None:
        return
    changed = unlike(plan.recipe, {"inputs": inputs_of(plan.recipe, store.hashes.of)})
    names = [name.removeprefix("inputs.") for name, _, _ in changed if name.startswith("inputs.")]
    if names:
        raise IntegrityError(
            f"not what {plan.recipe.file} was locked with: {', '.join(names)}",
            hint="bring it back as it was, or run it with what is there: --set locked=null",
        )


def _counts(plan: Plan, store: Store) -> dict[str, dict[str, int]]:
    """Arms -> images, labels and splits of their dataset; empty until it is made."""
    found = {}
    for task in plan.tasks:
        if task.stage.name == "dataset" and store.has(task.artifact_id):
            facts = store.load(task.stage.output, task.artifact_id, task.config).facts()
            found[", ".join(task.arms)] = {name: n for name, n in facts.items() if isinstance(n, int)}
    return found


def _packages() -> dict[str, str]:
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed
    return installed


def _parts(experiment: Experiment) -> Iterator[tuple[str, Config]]:
    """Every config within an experiment with its dotted field."""

    def within(value: Any, field: str) -> Iterator[tuple[str, Config]]:
        if isinstance(value, Config):
            yield field, value
            for name in type(value).model_fields:
                yield from within(getattr(value, name), f"{field}.{name}" if field else name)
        elif isinstance(value, tuple | list):
            for place, item in enumerate(value):
                yield from within(item, f"{field}.{place}")

    yield from within(experiment, "")
