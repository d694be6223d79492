"""What a journal asks of a study, as far as a run knows it."""

from pathlib import Path

import click

from mep.cli.commands._shared import FILE, RUN, open_run
from mep.cli.console import show, tell


@click.command("checklist")
@RUN
@click.option("--arm", metavar="ARM", help="Default: the arm that the verdict speaks of.")
@click.option("--format", "form", type=click.Choice(("md", "csv", "json")), default="md", show_default=True)
@click.option("--output", type=FILE, help="Write to this file.")
@click.pass_obj
def checklist_command(runs: Path, run_id: str | None, arm: str | None, form: str, output: Path | None) -> None:
    """Fill in a reporting checklist from the provenance of a run: CLAIM 2024.

    What the run does not know stands there as a gap, for the authors to fill.
    """
    from mep.machine.files import write_text
    from mep.sharing.checklist import checklist, checklist_csv, checklist_json
    from mep.sharing.finished import finished

    store, run_id = open_run(runs, run_id)
    shared = finished(store, run_id, arm)
    text = {"md": checklist, "csv": checklist_csv, "json": checklist_json}[form](shared)
    if output is None:
        show(text.removesuffix("\n"))
    else:
        write_text(output, text)
        tell(f"checklist: {output}")
