from collections.abc import Mapping
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, open_store
from mep.cli.console import listing, safe, show_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@JSON
@click.pass_obj
def command(runs: Path, file: Path, as_json: bool) -> None:
    """Say which recipe, data, cluster, prompt, checkpoint and seed made a file.

    FILE is anything that mep wrote (a synthetic image, a metric, a report), or a copy of it.
    """
    from mep.runner.why import why

    chain = why(open_store(runs, must_exist=True), file)
    if as_json:
        show_json([vars(link) for link in chain])
        return
    for link in chain:
        _show_link(link.what, link.name, link.facts)


def _show_link(what: str, name: str, facts: Mapping[str, object]) -> None:
    """One step: what it is, which one, and below it what is known of it."""
    from rich.padding import Padding

    console = listing()
    console.print(f"[bold]{safe(f'{what:<11}')}[/] {safe(name)}")
    shown = (
        f"[dim]{safe(fact)}[/] {safe(', '.join(map(str, value)) if isinstance(value, list) else str(value))}"
        for fact, value in facts.items()
    )
    console.print(Padding("; ".join(shown), (0, 0, 0, 12), expand=False))
