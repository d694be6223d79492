import click

from mep.cli.commands._shared import JSON
from mep.cli.console import show_json, show_rows


@click.command()
@JSON
def command(as_json: bool) -> None:
    """List every method that a recipe can name, by folder."""
    from mep.methods import families
    from mep.registry import members

    rows = [
        {"folder": folder, "kind": kind, "does": (member.__doc__ or "").strip().split("\n")[0]}
        for folder, family in families().items()
        for kind, member in members(family).items()
    ]
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, ["folder", "kind", "does"])
