"""What a run was run with: it stands in the lock beside the recipe, and is compared with what is there now."""

import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import mep
from mep.config import Config, HashFile, leaves
from mep.errors import IntegrityError
from mep.machine.files import write_text
from mep.recipe import Recipe, lock_text
from mep.recipe.model import repeat_of
from mep.runner.plan import Plan
from mep.store import Store

Locked = dict[str, Any]
"""mep, python, packages and inputs, as the lock of a recipe names them."""
TORCH_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "peft", "timm")
PACKAGES = (*TORCH_PACKAGES, "numpy", "scipy", "scikit-learn", "hdbscan")
"""Packages that a result may depend on."""


def write_lock(plan: Plan, store: Store, folder: Path, locked: Locked) -> None:
    """`recipe.lock.yaml`: every default, the commits of models, what the run is run with, and the counts of its data.

    locked      as `locked_of` gave it when the run began
    """
    text = lock_text(plan.recipe, folder, locked | {"dataset": _counts(plan, store)})
    write_text(folder / "recipe.lock.yaml", text)


def locked_of(recipe: Recipe, store: Store) -> Locked:
    """Versions, and the content of everything that is read from outside.

    EnvironmentLacks    a model that cannot be resolved
    """
    locked = versions() | {"inputs": inputs_of(recipe, store.hashes.of)}
    store.hashes.save()
    return locked


def versions() -> Locked:
    """Versions of mep, Python and the packages that a result may depend on."""
    packages = {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):  # an extra that is not installed
            packages[package] = metadata.version(package)
    return {"mep": mep.__version__, "python": platform.python_version(), "packages": packages}


def inputs_of(recipe: Recipe, hash_file: HashFile) -> dict[str, dict[str, str]]:
    """Field that names something outside the recipe -> its content: the sha256 of files, the commit of a model."""
    inputs: dict[str, dict[str, str]] = {}
    contents: dict[tuple[type[Config], str], dict[str, str]] = {}  # most arms read the same
    for arm, experiment in recipe.arms.items():
        if repeat_of(arm)[1] > 1:
            continue
        for field, part in _parts(experiment):
            key = type(part), part.model_dump_json()
            if key not in contents:
                contents[key] = part.externals(hash_file)
            content = contents[key]
            if content and inputs.setdefault(field, content) != content:
                inputs[f"arms.{arm}.{field}"] = content
    return inputs


def unlike(recipe: Recipe, now: Locked) -> list[tuple[str, str, str]]:
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
    counts = {}
    for task in plan.tasks:
        if task.stage.name == "dataset" and store.has(task.artifact_id):
            facts = store.load(task.stage.output, task.artifact_id, task.config).facts()
            counts[", ".join(task.arms)] = {name: n for name, n in facts.items() if isinstance(n, int)}
    return counts


def _parts(value: object, field: str = "") -> Iterator[tuple[str, Config]]:
    """Every config within an experiment with its dotted field."""
    if isinstance(value, Config):
        yield field, value
        for name in type(value).model_fields:
            yield from _parts(getattr(value, name), f"{field}.{name}" if field else name)
    elif isinstance(value, tuple | list):
        for place, item in enumerate(value):
            yield from _parts(item, f"{field}.{place}")
