from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import show, show_json, size, tell


@click.command()
@RUN
@click.option("--output", type=click.Path(path_type=Path), help="File to write. Default: RUN.mep.tar.gz here.")
@click.option("--samples", is_flag=True, help="With the synthetic images.")
@click.option("--weights", is_flag=True, help="With the models.")
@JSON
@click.pass_obj
def command(runs: Path, run_id: str | None, output: Path | None, samples: bool, weights: bool, as_json: bool) -> None:
    """Write a run to one file for others.

    It holds recipe, lock, report, log, provenance, captions and scores.

    Absolute paths and secrets are taken out. Real images never leave; pictures of some are in the report.
    """
    from mep.store.bundle import SUFFIX, export_run
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = find_run(store, run_id)["run_id"]
    path = output or Path(f"{run_id}{SUFFIX}")
    held = export_run(store, run_id, path, samples=samples, weights=weights)
    if as_json:
        show_json(held)
    else:
        show(str(path))
    tell(f"{size(held['bytes'])}, {len(held['whole'])} of {len(held['artifacts'])} artifacts whole")
