from pathlib import Path

import click

from mep.commands._shared import RECIPE, SET, conclude, load, open_store, watched


@click.command()
@RECIPE
@SET
@click.pass_obj
def command(runs: Path, recipe: Path, overrides: tuple[str, ...]) -> None:
    """Carry a recipe to its end; finished work is reused."""
    from mep.runner.run import run as run_recipe

    loaded = load(recipe, overrides)
    store = open_store(runs)
    with watched(store, loaded) as screen:
        run_id = run_recipe(loaded, store, screen)
    conclude(store, run_id)
