from pathlib import Path

import click

from mep.cli.commands._shared import open_store
from mep.cli.console import size, tell


@click.command()
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.pass_obj
def command(runs: Path, run_ids: tuple[str, ...]) -> None:
    """Remove runs: their folders and what the provenance says of them. Each is named in full.

    Their artifacts stay, as other runs may use them; `mep gc --delete` removes what nothing uses.
    """
    from mep.errors import UsageError
    from mep.store.housekeeping import remove_run
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    for run_id in run_ids:
        if (whole := find_run(store, run_id)["run_id"]) != run_id:
            raise UsageError(f"'{run_id}' is not a whole name", hint=f"did you mean {whole}?")
    for run_id in run_ids:
        left = remove_run(store, run_id)
        n_bytes = sum(item.n_bytes for item in left)
        tell(f"removed {run_id}" + (f"; {size(n_bytes)} can go now: mep gc --delete" if left else ""))
