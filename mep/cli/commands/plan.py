import json
from dataclasses import asdict
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RECIPE, SET, load, open_store


@click.command()
@RECIPE
@SET
@JSON
@click.option("--exit-code", is_flag=True, help="Exit with 10 where there is work to do.")
@click.pass_obj
@click.pass_context
def command(
    ctx: click.Context, runs: Path, recipe: Path, overrides: tuple[str, ...], as_json: bool, exit_code: bool
) -> None:
    """Say what a run would reuse, run or continue and why, and what it asks for."""
    from mep.cli.console import show, show_forecast, show_plan
    from mep.runner.forecast import forecast
    from mep.runner.plan import make_plan

    store = open_store(runs)
    found = make_plan(load(recipe, overrides), store)
    ahead = forecast(found, store)
    if as_json:
        names = ("artifact_id", "arms", "status", "why")
        rows = [{"stage": task.stage.name} | {name: getattr(task, name) for name in names} for task in found.tasks]
        lacks = [lack.message for lack in found.lacks]
        show(json.dumps({"stages": rows, "lacks": lacks, **asdict(ahead)}, indent=1))
    else:
        show_plan(found)
        show_forecast(ahead)
    if exit_code and found.count("reuse") < len(found.tasks):
        ctx.exit(10)
