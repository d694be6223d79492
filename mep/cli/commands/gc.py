from pathlib import Path

import click

from mep.cli.commands._shared import JSON, open_store
from mep.cli.console import listing_or_json, size, tell


@click.command()
@click.option("--keep-last", type=click.IntRange(0), metavar="N", help="Keep the newest N runs of every name.")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Let go runs older than this.")
@click.option("--delete", is_flag=True, help="Remove what is listed; without it, nothing is touched.")
@JSON
@click.pass_obj
def command(runs: Path, keep_last: int | None, older_than: float | None, delete: bool, as_json: bool) -> None:
    """List what can go, and with --delete remove it.

    Artifacts that no run uses, work that no run will continue, damaged artifacts; and what only those runs use that
    the rules let go. Such a run stays listed with its numbers, and running its recipe makes the rest again.
    Pinned and running runs keep everything.
    """
    from mep.store.housekeeping import collect, find_garbage

    store = open_store(runs, must_exist=True)
    garbage = find_garbage(store, keep_last=keep_last, older_than_days=older_than)
    rows = [vars(item) | ({} if as_json else {"size": size(item.n_bytes)}) for item in garbage]
    listing_or_json(rows, ["path", "size", "why"], as_json)
    if delete:
        tell(f"freed {size(collect(store, garbage))}")
    else:
        total = size(sum(item.n_bytes for item in garbage))
        tell(f"{total} can go: add --delete" if garbage else "everything is needed")
