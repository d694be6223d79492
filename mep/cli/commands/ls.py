from pathlib import Path

import click

from mep.cli.commands._shared import JSON, open_store
from mep.cli.console import show_json, show_rows


@click.command("ls")
@JSON
@click.pass_obj
def command(runs: Path, as_json: bool) -> None:
    """List the runs, oldest first."""
    from mep.runner.status import all_runs

    rows = all_runs(open_store(runs, must_exist=True))
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, ["run_id", "state", "started_at", "arms", "recipe_file"])
