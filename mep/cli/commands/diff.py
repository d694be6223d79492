from pathlib import Path

import click

from mep.cli.commands._shared import JSON, open_store
from mep.cli.console import show, show_json, show_rows


@click.command()
@click.argument("a")
@click.argument("b")
@JSON
@click.option("--exit-code", is_flag=True, help="Exit with 1 where anything differs.")
@click.pass_obj
@click.pass_context
def command(ctx: click.Context, runs: Path, a: str, b: str, as_json: bool, exit_code: bool) -> None:
    """Say what differs between two recipes or runs: fields, stages, numbers."""
    from mep.runner.diff import diff

    differences = diff(open_store(runs), a, b)
    if as_json:
        show_json(differences)
    else:
        for title, rows in differences.items():
            if rows:
                show(title)
                show_rows([_rounded(row) for row in rows], list(rows[0]))
                show("")
        if not any(differences.values()):
            show("nothing differs")
    if exit_code and any(differences.values()):
        ctx.exit(1)


def _rounded(row: dict[str, object]) -> dict[str, object]:
    return {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
