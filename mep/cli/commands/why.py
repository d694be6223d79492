import json
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, open_store


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@JSON
@click.pass_obj
def command(runs: Path, file: Path, as_json: bool) -> None:
    """Say which recipe, data, cluster, prompt, checkpoint and seed made a file.

    FILE is anything that mep wrote (a synthetic image, a metric, a report), or a copy of it.
    """
    from mep.cli.console import show, show_chain
    from mep.runner.why import why

    chain = why(open_store(runs, must_exist=True), file)
    if as_json:
        show(json.dumps([vars(link) for link in chain], indent=1, ensure_ascii=False))
    else:
        show_chain([(link.what, link.name, link.facts) for link in chain])
