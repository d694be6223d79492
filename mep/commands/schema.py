from pathlib import Path

import click


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default="schemas", show_default=True, help="Folder to write to."
)
def command(output: Path) -> None:
    """Write the JSON Schema of recipes and the SQL of the provenance."""
    from mep.console import tell
    from mep.files import write_text
    from mep.recipe.schema import schema_text
    from mep.store.database import migrations

    write_text(output / "recipe.schema.json", schema_text())
    write_text(output / "mep.sql", "\n".join(migrations()))
    tell(f"wrote {output / 'recipe.schema.json'} and {output / 'mep.sql'}")
