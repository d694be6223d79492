import time
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import show_json


@click.command()
@RUN
@click.option("--every", "every_s", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Show it as it is now, and end.")
@JSON
@click.pass_obj
def command(runs: Path, run_id: str | None, every_s: float, once: bool, as_json: bool) -> None:
    """Watch a run from another terminal: stages, time left, loss, memory; ends when the run does."""
    from mep.cli.screen import live
    from mep.report.live import as_lines, as_rich, snapshot

    store = open_store(runs, must_exist=True)
    progress = snapshot(store, run_id)
    if as_json:
        show_json(progress.as_data())
        return
    with live() as draw:
        while True:
            draw(as_rich(progress), as_lines(progress))
            if once or progress.state != "running":
                return
            time.sleep(every_s)
            progress = snapshot(store, progress.run_id)
