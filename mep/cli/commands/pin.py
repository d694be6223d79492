from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import listing_or_json, tell


@click.command()
@RUN
@click.option("--note", default="", help="Why it is to be kept.")
@click.option("--remove", is_flag=True, help="Let it go.")
@JSON
@click.pass_obj
def command(runs: Path, run_id: str | None, note: str, remove: bool, as_json: bool) -> None:
    """Keep a run from `mep gc` and `mep rm`; without RUN, list what is pinned."""
    from mep.store import housekeeping
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    if run_id is None:
        listing_or_json(housekeeping.pinned(store), ["run_id", "pinned_at", "note"], as_json)
        return
    run_id = find_run(store, run_id)["run_id"]
    if remove:
        housekeeping.unpin(store, run_id)
    else:
        housekeeping.pin(store, run_id, note)
    tell(f"{run_id} is {'no longer ' * remove}pinned")
