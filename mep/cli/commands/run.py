import math
from pathlib import Path

import click

from mep.cli.commands._shared import RECIPE, SET, Waiting, conclude, load, open_store, waiting, watched


@click.command(cls=Waiting)
@RECIPE
@SET
@waiting
@click.pass_obj
def command(runs: Path, recipe: Path, overrides: tuple[str, ...], wait_s: float | None) -> None:
    """Carry a recipe to its end; finished work is reused."""
    from mep.runner.run import run as run_recipe

    loaded = load(recipe, overrides)
    store = open_store(runs)
    with watched(store, loaded) as screen:
        run_id = run_recipe(loaded, store, screen, wait_s=math.inf if wait_s is None else wait_s)
    conclude(store, run_id)
