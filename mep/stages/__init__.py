"""Stages: a file each, or a folder with `stage.py`, named like the function; their types give the order."""

import importlib
import pkgutil
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
    return {name: by_name[name] for name in TopologicalSorter(graph).static_order()}


def maker_of(artifact: type) -> Stage:
    """The stage that returns an artifact type."""
    return next(stage for stage in stages().values() if stage.output is artifact)
