from pathlib import Path

import click

from mep.cli.commands._shared import RECIPE


@click.command()
@RECIPE
@click.option("--check", is_flag=True, help="Change nothing; exit with 10 where there is something to rewrite.")
@click.pass_context
def command(ctx: click.Context, recipe: Path, check: bool) -> None:
    """Rewrite a recipe of an older format, keeping its comments."""
    from mep.cli.console import show, tell
    from mep.machine.files import write_text
    from mep.recipe.migrations import rewrite

    text, renamings = rewrite(recipe)
    for one in renamings:
        show(f"{one.place}  {one.old} -> {one.new}")
    if not renamings:
        tell(f"{recipe} is in the present format")
    elif check:
        ctx.exit(10)
    else:
        write_text(recipe, text)
