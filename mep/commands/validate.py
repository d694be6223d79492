from pathlib import Path

import click

from mep.commands._shared import RECIPE, SET, load


@click.command()
@RECIPE
@SET
def command(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Check a recipe without running anything; every mistake at once."""
    from mep.console import show

    loaded = load(recipe, overrides)
    show(f"{recipe}: ok, {len(loaded.arms)} arm{'s' * (len(loaded.arms) > 1)}: {', '.join(loaded.arms)}")
