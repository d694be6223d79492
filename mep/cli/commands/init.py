from pathlib import Path

import click

from mep.cli.console import show_rows, tell


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="recipe.yaml")
@click.option("--from", "name", metavar="RECIPE", default="starter", show_default=True, help="Template to copy.")
@click.option("--list", "listing", is_flag=True, help="List the templates and write nothing.")
def command(file: Path, name: str, listing: bool) -> None:
    """Write a commented recipe to begin with."""
    from mep.recipe.templates import question_of, start, templates

    if listing:
        show_rows(
            [{"recipe": template, "asks": question_of(path)} for template, path in templates().items()],
            ["recipe", "asks"],
        )
        return
    for path in start(name, file):
        tell(f"wrote {path}")
    tell(f"edit it, then: mep validate {file}")
