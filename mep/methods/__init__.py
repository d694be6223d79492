"""Methods: what `kind:` in a recipe selects. One folder, one family; one file, one member."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import mep.machine.engines  # noqa: F401  a family too
from mep.registry import Method


@cache
def families() -> dict[str, type[Method]]:
    """Every family by the name of its folder; engines stand with the machine."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    by_folder = {family.__module__.rpartition(".")[2]: family for family in Method.__subclasses__()}
    return {name: by_folder[name] for name in sorted(by_folder)}
