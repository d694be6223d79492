from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import show, show_json
from mep.cli.options import Option, collected


@dataclass(frozen=True)
class Grid:
    """Which samples, and how large."""

    arms: Annotated[
        tuple[str, ...], Option("--arm", multiple=True, metavar="ARM", help="Only this arm; repeatable. Default: all.")
    ]
    prompts: Annotated[
        tuple[str, ...],
        Option("--prompt", multiple=True, metavar="ID", help="Only this prompt; repeatable. Default: all."),
    ]
    columns: Annotated[
        int,
        Option("--columns", type=click.IntRange(1, 100), default=8, show_default=True, help="Images of each prompt."),
    ]
    cell_px: Annotated[
        int, Option("--cell", type=click.IntRange(8, 1024), default=128, show_default=True, help="Side in pixels.")
    ]
    output: Annotated[
        Path | None,
        Option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder. Default: that of the run."),
    ]


@click.command("sample-grid")
@RUN
@collected(Grid)
@JSON
@click.pass_obj
def command(runs: Path, grid: Grid, run_id: str | None, as_json: bool) -> None:
    """Put the first samples of every prompt on one picture, for every arm of a run."""
    from mep.runner.samples import arms_of, sample_grid
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = find_run(store, run_id)["run_id"]
    written = []
    for arm in arms_of(store, run_id, grid.arms, "generation"):
        path = (grid.output or store.run_folder(run_id)) / f"samples-{arm.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sample_grid(arm, grid.prompts, grid.columns, grid.cell_px).save(path)
        written.append({"arm": arm.name, "file": str(path)})
        if not as_json:
            show(str(path))
    if as_json:
        show_json(written)
