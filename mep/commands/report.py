from pathlib import Path

import click

from mep.commands._shared import RUN, open_store, write_report


@click.command()
@RUN
@click.option(
    "--format", "form", type=click.Choice(["table", "md", "json", "html"]), default="table", show_default=True
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="File for html. Default: report.html in the run's folder."
)
@click.pass_obj
def command(runs: Path, run_id: str | None, form: str, output: Path | None) -> None:
    """Compare the arms of a run; without RUN, of the last one."""
    from mep.runner.run import find_run

    store = open_store(runs, must_exist=True)
    write_report(store, find_run(store, run_id)["run_id"], form, output)
