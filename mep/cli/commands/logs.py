from pathlib import Path

import click

from mep.cli.commands._shared import RUN, open_store
from mep.cli.console import show


@click.command()
@RUN
@click.argument("stage", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.pass_obj
def command(runs: Path, run_id: str | None, stage: str | None, follow: bool) -> None:
    """Print the log of a run, or of one of its stages."""
    from mep.runner.run_log import lines_of
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    for line in lines_of(store, find_run(store, run_id)["run_id"], stage, follow=follow):
        show(line)
