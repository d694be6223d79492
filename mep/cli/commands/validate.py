import json
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RECIPE, SET, load
from mep.cli.console import show


@click.command()
@RECIPE
@SET
@click.option("--resolved", is_flag=True, help="Print the recipe with every layer merged and where each value is from.")
@JSON
def command(recipe: Path, overrides: tuple[str, ...], resolved: bool, as_json: bool) -> None:
    """Check a recipe without running anything; every mistake at once."""

    loaded = load(recipe, overrides)
    if resolved:
        from mep.recipe.writer import fields_of, resolved_text

        show(json.dumps(fields_of(loaded), indent=1) if as_json else resolved_text(loaded))
    elif as_json:
        show(json.dumps({"recipe": str(recipe), "arms": list(loaded.arms)}))
    else:
        show(f"{recipe}: ok, {len(loaded.arms)} arm{'s' * (len(loaded.arms) > 1)}: {', '.join(loaded.arms)}")
