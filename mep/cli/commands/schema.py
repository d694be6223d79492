from importlib import resources
from pathlib import Path

import click

from mep.cli.console import tell


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), default="schemas", show_default=True, help="Folder to write to."
)
def command(output: Path) -> None:
    """Write the JSON Schema of recipes, the SQL of the provenance, and what Datasette shows of it."""
    from mep.machine.files import write_text
    from mep.recipe.schema import schema_text
    from mep.store.database import migrations

    write_text(output / "recipe.schema.json", schema_text())
    write_text(output / "mep.sql", "\n".join(migrations()))
    write_text(
        output / "datasette.json", (resources.files("mep.report") / "datasette.json").read_text(encoding="utf-8")
    )
    tell(f"wrote recipe.schema.json, mep.sql and datasette.json to {output}")
