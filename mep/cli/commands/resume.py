from pathlib import Path

import click

from mep.cli.commands._shared import RUN, Waiting, conclude, open_store, waiting, watched
from mep.errors import UsageError


@click.command(cls=Waiting)
@RUN
@waiting
@click.pass_obj
def command(runs: Path, run_id: str | None, wait_s: float | None) -> None:
    """Go on with a run that was stopped; without RUN, the last one that did not finish."""
    from mep.recipe import load_recipe
    from mep.runner.run import resume as resume_run
    from mep.store.row_types import RunRow
    from mep.store.runs import find_run, state_of

    store = open_store(runs)
    if run_id is None:
        last = "SELECT * FROM runs WHERE state != 'done' ORDER BY started_at DESC, run_id DESC LIMIT 1"
        rows = store.db.select(RunRow, last)
        if not rows:
            raise UsageError("every run is done", hint="see them: mep ls")
        row = rows[0]
    else:
        row = find_run(store, run_id)
    if state_of(row, store) == "done":
        raise UsageError(f"{row['run_id']} is done", hint=f"look at it: mep report {row['run_id']}")
    loaded = load_recipe(store.run_folder(row["run_id"]) / "recipe.lock.yaml")
    with watched(store, loaded) as screen:
        resume_run(row["run_id"], store, screen, wait_s=wait_s)
    conclude(store, row["run_id"])
