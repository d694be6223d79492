"""The clusters of a run, to be named by somebody who knows what they show."""

from pathlib import Path

import click

from mep.cli.commands._shared import RUN, open_run
from mep.cli.console import show, tell
from mep.errors import UsageError


@click.command("clusters")
@RUN
@click.option("--arm", metavar="ARM", help="Whose clusters. Default: the first arm.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the sheet is written.")
@click.pass_obj
def clusters_command(runs: Path, run_id: str | None, arm: str | None, output: Path | None) -> None:
    """Write a sheet of the clusters of a run, on which they are looked at and named."""
    from mep.artifacts import Clusters
    from mep.machine.files import write_text
    from mep.report import gather
    from mep.report.page.clusters import cluster_page

    store, run_id = open_run(runs, run_id)
    report = gather(store, [run_id])
    named = {one.name: one for one in report.arms}
    if arm is not None and arm not in named:
        raise UsageError(f"run {run_id} has no arm '{arm}'", hint=f"known: {', '.join(named)}")
    chosen = named[arm] if arm else report.arms[0]
    path = output or store.run_folder(run_id) / "clusters.html"
    write_text(path, cluster_page(report, chosen))
    others = [one.name for one in report.arms if one.id_of(Clusters) not in (None, chosen.id_of(Clusters))]
    if others:
        tell(f"clusters of arm '{chosen.name}'; others have {', '.join(others)}: --arm")
    tell("names that are typed there are saved as names.yaml; beside the recipe it is read by: extends: names.yaml")
    show(str(path))
