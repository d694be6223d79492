from pathlib import Path

import click

from mep.cli.commands._shared import JSON
from mep.cli.console import show, show_json, tell


@click.group("db")
def command() -> None:
    """Look after the provenance: `mep db rebuild`."""


@command.command("rebuild")
@JSON
@click.pass_obj
def rebuild_command(runs: Path, as_json: bool) -> None:
    """Make mep.db anew from the manifests of the artifacts and the journals of the runs.

    The database that was there is kept as mep.db.old.
    """
    from mep.errors import UsageError
    from mep.store import Store
    from mep.store.rebuild import rebuild

    if not runs.is_dir():
        raise UsageError(f"there is no folder {runs}", hint="name the folder of the runs: mep --runs DIR db rebuild")
    done = rebuild(Store(runs))
    if as_json:
        show_json(vars(done))
        return
    show(f"{done.n_runs} runs and {done.n_artifacts} artifacts are in the new {runs / 'mep.db'}")
    for name in done.without_journal:
        tell(f"{name} has no journal: its artifacts are there, its history is not")
    for name in done.unreadable:
        tell(f"{name} has no manifest that can be trusted: mep verify")
    if done.kept_as:
        tell(f"the database that was there: {done.kept_as}")
