"""The clusters of a run or of a recipe, to be named by somebody who knows what they show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mep.cli.commands._shared import RUN, make_part, open_run, open_store
from mep.cli.console import show, tell
from mep.errors import UsageError

if TYPE_CHECKING:
    from mep.report.data.artifacts import OpenArm


@click.command("clusters")
@RUN
@click.option("--arm", metavar="ARM", help="Whose clusters. Default: the first arm.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the sheet is written.")
@click.pass_obj
def clusters_command(runs: Path, run_id: str | None, arm: str | None, output: Path | None) -> None:
    """Write a sheet of the clusters of a run, on which they are looked at and named.

    In the place of a run, the file of a recipe: then its clusters are made, and nothing is trained.
    """
    from mep.artifacts import Clusters
    from mep.machine.files import write_text
    from mep.report.page.clusters import cluster_page

    is_recipe = run_id is not None and Path(run_id).suffix in (".yaml", ".yml")
    arms, place = _of_recipe(runs, Path(str(run_id))) if is_recipe else _of_run(runs, run_id)
    named = {one.name: one for one in arms}
    if arm is not None and arm not in named:
        raise UsageError(f"{arms[0].run_id} has no arm '{arm}'", hint=f"known: {', '.join(named)}")
    chosen = named[arm] if arm else arms[0]
    path = output or place
    write_text(path, cluster_page(arms, chosen))
    others = [one.name for one in arms if one.id_of(Clusters) not in (None, chosen.id_of(Clusters))]
    if others:
        tell(f"clusters of arm '{chosen.name}'; others have {', '.join(others)}: --arm")
    tell("names that are typed there are saved as names.yaml; beside the recipe it is read by: extends: names.yaml")
    show(str(path))


def _of_run(runs: Path, run_id: str | None) -> tuple[list[OpenArm], Path]:
    """The arms of a run, and where their sheet lies."""
    from mep.report import gather

    store, run_id = open_run(runs, run_id)
    return gather(store, [run_id]).arms, store.run_folder(run_id) / "clusters.html"


def _of_recipe(runs: Path, file: Path) -> tuple[list[OpenArm], Path]:
    """The same of a recipe, whose clusters are made; its captions too where a method finds names."""
    from mep.methods.namers import Namer
    from mep.recipe import load_recipe
    from mep.report.data.artifacts import planned_arms
    from mep.runner.plan import make_plan

    recipe, store = load_recipe(file), open_store(runs, must_exist=False)
    asked = any(isinstance(one.prompts.in_use().cluster_names, Namer) for one in recipe.arms.values())
    make_part(recipe, store, "prompts" if asked else "balancing")
    return planned_arms(make_plan(recipe, store), store), runs / f"clusters-{recipe.name}.html"
