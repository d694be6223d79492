from pathlib import Path

import click

from mep.cli.commands._shared import JSON


@click.command()
@JSON
@click.pass_obj
@click.pass_context
def command(ctx: click.Context, runs: Path, as_json: bool) -> None:
    """Look at this machine: packages, devices, disk, locks, SQLite, caches. Ends with 3 where something is bad."""
    from mep.cli.console import listing_or_json
    from mep.runner.doctor import examine

    found = list(examine(runs))
    listing_or_json([vars(one) for one in found], ["what", "state", "found", "hint"], as_json)
    if any(one.state == "bad" for one in found):
        ctx.exit(3)
