from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import show, show_json, show_rows


@click.command()
@RUN
@JSON
@click.pass_obj
def command(runs: Path, run_id: str | None, as_json: bool) -> None:
    """Say how far a run is; without RUN, the last one."""
    from mep.runner.status import status_of

    status = status_of(open_store(runs, must_exist=True), run_id)
    if as_json:
        show_json(status)
        return
    show(f"{status['run_id']}  {status['state']}" + (f"  {status['error']}" if status["error"] else ""))
    show_rows(status["stages"], ["stage", "arms", "state", "wall_s", "peak_memory_mb", "facts"])
