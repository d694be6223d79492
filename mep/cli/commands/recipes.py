"""Write, check and compare recipes, and list what they can name."""

import json
from pathlib import Path

import click

from mep.cli.commands._shared import FILE, JSON, SET, open_store
from mep.cli.console import listing_or_json, show, show_error, show_json, show_rows, tell
from mep.cli.types import RecipeName
from mep.errors import MepError


@click.command("init")
@click.argument("file", type=FILE, default="recipe.yaml")
@click.option("--from", "name", metavar="RECIPE", default="starter", show_default=True, help="Template to copy.")
@click.option("--list", "listing", is_flag=True, help="List the templates and write nothing.")
def init_command(file: Path, name: str, listing: bool) -> None:
    """Write a commented recipe to begin with."""
    from mep.recipe.templates import question_of, start, templates

    if listing:
        rows = [{"recipe": template, "asks": question_of(path)} for template, path in templates().items()]
        show_rows(rows, ["recipe", "asks"])
        return
    for path in start(name, file):
        tell(f"wrote {path}")
    tell(f"edit it, then: mep validate {file}")


@click.command("validate")
@click.argument("recipes", metavar="RECIPE...", type=RecipeName(), nargs=-1, required=True)
@SET
@click.option("--resolved", is_flag=True, help="Print the recipe with every layer merged and where each value is from.")
@JSON
@click.pass_context
def validate_command(
    ctx: click.Context, recipes: tuple[Path, ...], overrides: tuple[str, ...], resolved: bool, as_json: bool
) -> None:
    """Check recipes without running anything; every mistake at once."""
    if resolved and len(recipes) > 1:
        raise click.UsageError("--resolved shows one recipe")
    exit_code = 0
    for recipe in recipes:
        try:
            _validate(recipe, overrides, resolved, as_json)
        except MepError as error:
            if len(recipes) > 1:  # what is wrong may stand in a file that several extend
                tell(f"{recipe}:")
            show_error(error)
            exit_code = exit_code or error.exit_code
    ctx.exit(exit_code)


def _validate(recipe: Path, overrides: tuple[str, ...], resolved: bool, as_json: bool) -> None:
    from mep.recipe import load_recipe
    from mep.recipe.writer import fields_of, resolved_text

    loaded = load_recipe(recipe, overrides)
    if resolved:
        show(json.dumps(fields_of(loaded), indent=1) if as_json else resolved_text(loaded))
    elif as_json:
        show(json.dumps({"recipe": str(recipe), "arms": list(loaded.arms)}))
    else:
        show(f"{recipe}: ok, {len(loaded.arms)} arm{'s' * (len(loaded.arms) > 1)}: {', '.join(loaded.arms)}")


@click.command("diff")
@click.argument("a")
@click.argument("b")
@JSON
@click.option("--exit-code", is_flag=True, help="Exit with 1 where anything differs.")
@click.pass_obj
@click.pass_context
def diff_command(ctx: click.Context, runs: Path, a: str, b: str, as_json: bool, exit_code: bool) -> None:
    """Say what differs between two recipes or runs: fields, stages, numbers."""
    from mep.runner.diff import diff

    differences = diff(open_store(runs, must_exist=False), a, b)
    if as_json:
        show_json(differences)
    else:
        for title, rows in differences.items():
            if rows:
                show(title)
                show_rows(rows, list(rows[0]), floats=".4g")
                show("")
        if not any(differences.values()):
            show("nothing differs")
    if exit_code and any(differences.values()):
        ctx.exit(1)


@click.command("methods")
@JSON
def methods_command(as_json: bool) -> None:
    """List every method that a recipe can name, by folder."""
    from mep.methods import families
    from mep.registry import members

    rows = [
        {"folder": folder, "kind": kind, "does": (member.__doc__ or "").strip().split("\n")[0]}
        for folder, family in families().items()
        for kind, member in members(family).items()
    ]
    listing_or_json(rows, ["folder", "kind", "does"], as_json)


@click.command("schema")
@click.option("--output", type=FILE, default="schemas", show_default=True, help="Folder to write to.")
def schema_command(output: Path) -> None:
    """Write the JSON Schema of recipes, the SQL of the provenance, and what Datasette shows of it."""
    from importlib import resources

    from mep.machine.files import write_text
    from mep.recipe.schema import schema_text
    from mep.store.database import migrations

    datasette = resources.files("mep.report") / "datasette.json"
    write_text(output / "recipe.schema.json", schema_text())
    write_text(output / "mep.sql", "\n".join(migrations()))
    write_text(output / "datasette.json", datasette.read_text(encoding="utf-8"))
    tell(f"wrote recipe.schema.json, mep.sql and datasette.json to {output}")
