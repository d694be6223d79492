"""The images of a run: draw more, put them on a picture, hand on what was trained on."""

from dataclasses import dataclass
from pathlib import Path

import click

from mep.cli.commands._shared import FOLDER, JSON, RUN, open_run
from mep.cli.console import show, show_json, tell
from mep.cli.options import collected, option
from mep.errors import UsageError

ARM_TEXT = "Only this arm; repeatable. Default: all."
FOLDER_TEXT = "Folder. Default: that of the run."
SETTING_TEXT = "Instead of the recipe's."


@dataclass(frozen=True)
class Drawing:
    prompts: tuple[str, ...] = option("Caption or prompt id.", "--prompt", required=True, metavar="TEXT")
    n: int = option("Images of each prompt.", "-n", type=click.IntRange(1, 1_000_000), default=4)
    arms: tuple[str, ...] = option(ARM_TEXT, "--arm", metavar="ARM")
    guidance: float | None = option(SETTING_TEXT, type=click.FloatRange(0, 50))
    sampler: str | None = option(SETTING_TEXT, metavar="KIND")
    steps: int | None = option(SETTING_TEXT, type=click.IntRange(1, 1000))
    seed: int | None = option(SETTING_TEXT, type=click.IntRange(0, 2**63 - 1))
    output: Path | None = option(FOLDER_TEXT, type=FOLDER)


@click.command("generate")
@RUN
@collected(Drawing)
@JSON
@click.pass_obj
def generate_command(runs: Path, drawing: Drawing, run_id: str | None, as_json: bool) -> None:
    """Draw a few images with the models of a run; a prompt of its dataset gives the very images of the dataset."""
    from mep.runner.samples import arms_of, changed, draw

    store, run_id = open_run(runs, run_id)
    folder = drawing.output or store.run_folder(run_id) / "samples"
    rows = []
    for arm in arms_of(store, run_id, drawing.arms, "training"):
        tell(f"{arm.name}: {drawing.n * len(drawing.prompts)} images")
        changes = changed(arm, guidance=drawing.guidance, sampler=drawing.sampler, steps=drawing.steps)
        for row in draw(arm, drawing.prompts, drawing.n, folder / arm.name, changes=changes, seed=drawing.seed):
            rows.append(row)
            if row["refused"]:
                tell(f"refused: image {row['ordinal']} of '{row['text']}' is {row['refused']}")
            elif not as_json:
                show(str(row["file"]))
    if as_json:
        show_json(rows)


@dataclass(frozen=True)
class Grid:
    arms: tuple[str, ...] = option(ARM_TEXT, "--arm", metavar="ARM")
    prompts: tuple[str, ...] = option("Only this prompt; repeatable. Default: all.", "--prompt", metavar="ID")
    columns: int = option("Images of each prompt.", type=click.IntRange(1, 100), default=8)
    cell_px: int = option("Side in pixels.", "--cell", type=click.IntRange(8, 1024), default=128)
    output: Path | None = option(FOLDER_TEXT, type=FOLDER)


@click.command("sample-grid")
@RUN
@collected(Grid)
@JSON
@click.pass_obj
def sample_grid_command(runs: Path, grid: Grid, run_id: str | None, as_json: bool) -> None:
    """Put the first samples of every prompt on one picture, for every arm of a run."""
    from mep.runner.samples import arms_of, sample_grid

    store, run_id = open_run(runs, run_id)
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


@click.command("export-dataset")
@click.argument("run_id", metavar="RUN")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--arm", metavar="ARM", help="Whose captions. Default: the last arm.")
@click.pass_obj
def export_dataset_command(runs: Path, run_id: str, folder: Path, arm: str | None) -> None:
    """Write the training set as a captioned imagefolder, which datasets and diffusers read."""
    from mep.artifacts import Images, Prompts, TrainingSet
    from mep.artifacts.imagefolder import write_imagefolder
    from mep.config import Config
    from mep.runner.samples import arms_of

    chosen = arms_of(*open_run(runs, run_id), [arm] if arm else [], "prompts")[-1]
    images = Images.load(chosen.folders["dataset"], chosen.experiment.dataset)
    training_set = TrainingSet.load(chosen.folders["balancing"], Config())
    prompts = Prompts.load(chosen.folders["prompts"], Config())
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name a new folder")
    counts = write_imagefolder(images, training_set, prompts, folder)
    n_by_way = f"{counts['linked']} images linked, {counts['copied']} copied, {counts['converted']} converted to PNG"
    tell(f"{n_by_way}; captions of arm '{chosen.name}'")
    show(str(folder))
