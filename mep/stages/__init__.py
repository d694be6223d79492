"""Stages: a file each, or a folder with `stage.py`, named like the function; their types give the order."""

import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter

from mep.stage import Stage


@cache
def stages() -> dict[str, Stage]:
    """Every stage by name, each after the stages whose output it reads."""
    by_name: dict[str, Stage] = {}
    for module in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{module.name}" + (".stage" if module.ispkg else "")
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Stage):
                by_name[value.name] = value
    maker = {stage.output: stage.name for stage in by_name.values()}
    graph = {stage.name: sorted(maker[kind] for kind in stage.inputs.values()) for stage in by_name.values()}
    graph["latents"].append("prompts")  # captions that cannot be used are refused before hours of encoding
    return {name: by_name[name] for name in TopologicalSorter(graph).static_order()}


@cache
def made_elsewhere() -> dict[str, list[Stage]]:
    """What was made elsewhere -> the stages that do with it, each called as the one in whose place it stands."""
    from mep.stages.generation.given import given_samples
    from mep.stages.privacy.given import given_privacy
    from mep.stages.training.given import given_model

    return {
        "images": [replace(given_samples, name="generation"), replace(given_privacy, name="privacy")],
        "model": [replace(given_model, name="training")],
    }


@cache
def stages_of(elsewhere: str) -> dict[str, Stage]:
    """The stages of an arm, without those whose results nobody reads; elsewhere: what was not made here, or nothing."""
    if not elsewhere:
        return stages()
    every = stages() | {stage.name: stage for stage in made_elsewhere()[elsewhere]}
    readers = {kind for other in stages().values() for kind in other.inputs.values()}
    waiting = [other for other in every.values() if other.output not in readers]
    needed: set[str] = set()
    while waiting:
        other = waiting.pop()
        needed.add(other.name)
        waiting += [every[maker_of(kind).name] for kind in other.inputs.values()]
    return {name: other for name, other in every.items() if name in needed}


def maker_of(artifact: type) -> Stage:
    """The stage that returns an artifact type."""
    return next(stage for stage in stages().values() if stage.output is artifact)
