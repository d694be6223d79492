"""Stages: a file each, or a folder with `stage.py`, named like the function; their types give the order."""

import importlib
import pkgutil
from functools import cache
from graphlib import TopologicalSorter

from mep.stage import Stage


@cache
def stages() -> dict[str, Stage]:
    """Every stage by name, each after the stages whose output it reads."""
    found: dict[str, Stage] = {}
    for module in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{module.name}" + (".stage" if module.ispkg else "")
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Stage):
                found[value.name] = value
    maker = {one.output: one.name for one in found.values()}
    graph = {one.name: sorted(maker[kind] for kind in one.inputs.values()) for one in found.values()}
    return {name: found[name] for name in TopologicalSorter(graph).static_order()}


def maker_of(artifact: type) -> Stage:
    """The stage that returns an artifact type."""
    return next(one for one in stages().values() if one.output is artifact)
