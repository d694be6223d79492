from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from mep.cli.commands._shared import JSON, RUN, open_store
from mep.cli.console import show, show_json, tell
from mep.cli.options import Option, collected


@dataclass(frozen=True)
class Drawing:
    """What is drawn, and how."""

    prompts: Annotated[
        tuple[str, ...], Option("--prompt", multiple=True, required=True, metavar="TEXT", help="Caption or prompt id.")
    ]
    n: Annotated[
        int,
        Option("-n", type=click.IntRange(1, 1_000_000), default=4, show_default=True, help="Images of each prompt."),
    ]
    arms: Annotated[
        tuple[str, ...], Option("--arm", multiple=True, metavar="ARM", help="Only this arm; repeatable. Default: all.")
    ]
    guidance: Annotated[
        float | None, Option("--guidance", type=click.FloatRange(0, 50), help="Instead of the recipe's.")
    ]
    sampler: Annotated[str | None, Option("--sampler", metavar="KIND", help="Instead of the recipe's.")]
    steps: Annotated[int | None, Option("--steps", type=click.IntRange(1, 1000), help="Instead of the recipe's.")]
    seed: Annotated[int | None, Option("--seed", type=click.IntRange(0, 2**63 - 1), help="Instead of the recipe's.")]
    output: Annotated[
        Path | None,
        Option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder. Default: that of the run."),
    ]


@click.command()
@RUN
@collected(Drawing)
@JSON
@click.pass_obj
def command(runs: Path, drawing: Drawing, run_id: str | None, as_json: bool) -> None:
    """Draw a few images with the models of a run; a prompt of its dataset gives the very images of the dataset."""
    from mep.runner.samples import arms_of, changed, draw
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = find_run(store, run_id)["run_id"]
    folder = drawing.output or store.run_folder(run_id) / "samples"
    rows = []
    for arm in arms_of(store, run_id, drawing.arms, "training"):
        tell(f"{arm.name}: {drawing.n * len(drawing.prompts)} images")
        changes = changed(arm, guidance=drawing.guidance, sampler=drawing.sampler, steps=drawing.steps)
        for row in draw(arm, drawing.prompts, drawing.n, folder / arm.name, changes=changes, seed=drawing.seed):
            rows.append(row)
            _report(row, as_json)
    if as_json:
        show_json(rows)


def _report(row: Mapping[str, object], as_json: bool) -> None:
    if row["refused"]:
        tell(f"refused: image {row['ordinal']} of '{row['text']}' is {row['refused']}")
    elif not as_json:
        show(str(row["file"]))
