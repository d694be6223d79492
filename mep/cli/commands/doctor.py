from pathlib import Path

import click

from mep.cli.commands._shared import JSON
from mep.cli.console import listing_or_json


@click.command()
@JSON
@click.pass_obj
@click.pass_context
def command(ctx: click.Context, runs: Path, as_json: bool) -> None:
    """Look at this machine: packages, devices, disk, locks, SQLite, caches. Ends with 3 where something is bad."""
    from mep.runner.doctor import examine

    checks = list(examine(runs))
    listing_or_json([vars(check) for check in checks], ["what", "state", "found", "hint"], as_json)
    if any(check.state == "bad" for check in checks):
        ctx.exit(3)
