"""mep: one YAML recipe is one finished experiment on synthetic medical images.

from pathlib import Path
import mep

recipe = mep.load_recipe("recipes/quickstart.yaml", ["training.steps=100"])
store = mep.Store(Path("runs"))
run_id = mep.run(recipe, store)
print(mep.report.as_markdown(mep.report.comparison(store, [run_id])))
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mep import report
    from mep.recipe import Recipe, load_recipe
    from mep.runner.plan import Plan, make_plan
    from mep.runner.run import resume, run
    from mep.store import Store

__version__ = "1.0.0"
__all__ = ["Plan", "Recipe", "Store", "__version__", "load_recipe", "make_plan", "report", "resume", "run"]

_HOMES = {
    "Plan": "mep.runner.plan",
    "Recipe": "mep.recipe",
    "Store": "mep.store",
    "load_recipe": "mep.recipe",
    "make_plan": "mep.runner.plan",
    "resume": "mep.runner.run",
    "run": "mep.runner.run",
}


def __getattr__(name: str) -> object:
    """Public names are fetched when they are asked for, so that `import mep` stays quick."""
    if name == "report":
        return importlib.import_module("mep.report")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mep' has no attribute '{name}'")
