import json
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store


@click.command()
@RUN
@JSON
@click.pass_obj
def command(runs: Path, run_id: str | None, as_json: bool) -> None:
    """Say how far a run is; without RUN, the last one."""
    from mep.cli.console import show, show_rows
    from mep.runner.status import status_of

    found = status_of(open_store(runs, must_exist=True), run_id)
    if as_json:
        show(json.dumps(found, indent=1))
        return
    show(f"{found['run_id']}  {found['state']}" + (f"  {found['error']}" if found["error"] else ""))
    show_rows(found["stages"], ["stage", "arms", "state", "wall_s", "peak_memory_mb", "facts"])
