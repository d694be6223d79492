import json
from pathlib import Path

import click

from mep.commands._shared import JSON, RECIPE, SET, load, open_store


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
    """Say what a run would reuse, run or continue, and why."""
    from mep.console import show, show_plan
    from mep.runner.plan import make_plan

    found = make_plan(load(recipe, overrides), open_store(runs))
    if as_json:
        names = ("artifact_id", "arms", "status", "why")
        rows = [{name: getattr(task, name) for name in names} for task in found.tasks]
        show(json.dumps([{"stage": row["artifact_id"].split("/")[0]} | row for row in rows], indent=1))
    else:
        show_plan(found)
    if exit_code and found.count("reuse") < len(found.tasks):
        ctx.exit(10)
