import json
from pathlib import Path
from typing import Any

import click

from mep.cli.commands._shared import JSON, RUN, open_store


@click.command()
@RUN
@click.option("--prompt", "prompts", multiple=True, required=True, metavar="TEXT", help="Caption or prompt id.")
@click.option("-n", "n", type=click.IntRange(1, 1_000_000), default=4, show_default=True, help="Images of each prompt.")
@click.option("--arm", "arms", multiple=True, metavar="ARM", help="Only this arm; repeatable. Default: all.")
@click.option("--guidance", type=click.FloatRange(0, 50), help="Instead of the recipe's.")
@click.option("--sampler", metavar="KIND", help="Instead of the recipe's.")
@click.option("--steps", type=click.IntRange(1, 1000), help="Instead of the recipe's.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Instead of the recipe's.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder. Default: that of the run.")
@JSON
@click.pass_obj
def command(
    runs: Path,
    run_id: str | None,
    prompts: tuple[str, ...],
    n: int,
    arms: tuple[str, ...],
    guidance: float | None,
    sampler: str | None,
    steps: int | None,
    seed: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Draw a few images with the models of a run; a prompt of its dataset gives the very images of the dataset."""
    from mep.cli.console import show, tell
    from mep.runner.samples import arms_of, changed, draw
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    run_id = find_run(store, run_id)["run_id"]
    folder = output or store.run_folder(run_id) / "samples"
    found: list[dict[str, Any]] = []
    for arm in arms_of(store, run_id, arms, "training"):
        tell(f"{arm.name}: {n * len(prompts)} images")
        changes = changed(arm, guidance=guidance, sampler=sampler, steps=steps)
        for row in draw(arm, prompts, n, folder / arm.name, changes=changes, seed=seed):
            found.append(row)
            if row["refused"]:
                tell(f"refused: image {row['ordinal']} of '{row['text']}' is {row['refused']}")
            elif not as_json:
                show(row["file"])
    if as_json:
        show(json.dumps(found, indent=1, ensure_ascii=False))
