import json
from pathlib import Path

import click

from mep.cli.commands._shared import JSON, RUN, open_store


@click.command("sample-grid")
@RUN
@click.option("--arm", "arms", multiple=True, metavar="ARM", help="Only this arm; repeatable. Default: all.")
@click.option("--prompt", "prompts", multiple=True, metavar="ID", help="Only this prompt; repeatable. Default: all.")
@click.option("--columns", type=click.IntRange(1, 100), default=8, show_default=True, help="Images of each prompt.")
@click.option("--cell", "cell_px", type=click.IntRange(8, 1024), default=128, show_default=True, help="Side in pixels.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder. Default: that of the run.")
@JSON
@click.pass_obj
def command(
    runs: Path,
    run_id: str | None,
    arms: tuple[str, ...],
    prompts: tuple[str, ...],
    columns: int,
    cell_px: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Put the first samples of every prompt on one picture, for every arm of a run."""
    from mep.cli.console import show
    from mep.runner.samples import arms_of, sample_grid
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = find_run(store, run_id)["run_id"]
    written = []
    for arm in arms_of(store, run_id, arms, "generation"):
        path = (output or store.run_folder(run_id)) / f"samples-{arm.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sample_grid(arm, prompts, columns, cell_px).save(path)
        written.append({"arm": arm.name, "file": str(path)})
        if not as_json:
            show(str(path))
    if as_json:
        show(json.dumps(written, indent=1))
