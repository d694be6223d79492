from pathlib import Path

import click

from mep.cli.commands._shared import open_store
from mep.cli.console import show, tell


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def command(runs: Path, file: Path) -> None:
    """Take in a run that `mep export` wrote.

    What came whole is reused like one's own.
    """
    from mep.store.bundle import import_run

    held = import_run(open_store(runs), file)
    show(held["run_id"])
    tell(
        f"{len(held['whole'])} of {len(held['artifacts'])} artifacts came whole; look at it: mep show {held['run_id']}"
    )
