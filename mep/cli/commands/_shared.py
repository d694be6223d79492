"""What several commands need: options, and the way to a store and a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.types import InputFile, RecipeName, StoreAddress
from mep.errors import UsageError

if TYPE_CHECKING:
    from mep.recipe import Recipe
    from mep.runner.plan import Task
    from mep.store import Store


def _complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    runs = ctx.find_root().params.get("runs") or Path("runs")
    return sorted((path.parent.name for path in runs.glob(f"{incomplete}*/recipe.lock.yaml")), reverse=True)


FILE = click.Path(path_type=Path)
INPUT_FILE = InputFile()
FOLDER = click.Path(path_type=Path, file_okay=False)

RECIPE = click.argument("recipe", type=RecipeName())
RUN = click.argument("run_id", metavar="[RUN]", required=False, shell_complete=_complete_run)
SET = click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Override a field; repeatable.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

STORES = click.option(
    "--store",
    "stores",
    type=StoreAddress(),
    multiple=True,
    envvar="MEP_STORES",
    metavar="ADDRESS",
    help="Look there for what others have made, as s3://lab/mep; repeatable. Besides machine.stores.",
)


def open_store(runs: Path, *, must_exist: bool = True) -> Store:
    from mep.store import Store

    if must_exist and not (runs / "mep.db").exists() and not any(runs.glob("*/journal.jsonl")):
        raise UsageError(f"there are no runs in {runs}", hint="make one: mep run quickstart")
    return Store(runs)


def open_run(runs: Path, run_id: str | None) -> tuple[Store, str]:
    """The store, and the whole name of a run that is named by its beginning, or not at all: then the last one."""
    from mep.store.runs import find_run

    store = open_store(runs)
    return store, find_run(store, run_id)["run_id"]


def with_stores(recipe: Recipe, stores: tuple[str, ...]) -> Recipe:
    """The recipe with further shared stores to look in."""
    if not stores:
        return recipe
    every = tuple(dict.fromkeys((*recipe.machine.stores, *stores)))
    return dataclasses.replace(recipe, machine=recipe.machine.model_copy(update={"stores": every}))


def make_part(recipe: Recipe, store: Store, stage: str) -> list[Task]:
    """Make one stage of a recipe and what it needs, on a screen; the same command goes on after a stop."""
    import os

    from mep.cli.screen import Screen
    from mep.errors import DataError, Interrupted
    from mep.runner.part_of_run import make_stage
    from mep.runner.run import recipe_mistake

    class PartScreen(Screen):
        def signalled(self, number: int, again: bool) -> None:
            os.write(2, b"\nstopped; the same command goes on\n" if again else b"\nstopping where it can go on\n")

    screen = PartScreen()
    try:
        return make_stage(recipe, store, stage, screen)
    except Interrupted as stop:
        stop.hint = "the same command goes on"
        raise
    except DataError as error:
        raise recipe_mistake(error, recipe) from error
    finally:
        screen.close()
