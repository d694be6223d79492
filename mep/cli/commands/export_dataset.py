from pathlib import Path

import click

from mep.cli.commands._shared import open_store
from mep.cli.console import show, tell
from mep.errors import UsageError


@click.command("export-dataset")
@click.argument("run_id", metavar="RUN")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--arm", metavar="ARM", help="Whose captions. Default: the last arm.")
@click.pass_obj
def command(runs: Path, run_id: str, folder: Path, arm: str | None) -> None:
    """Write the training set as a captioned imagefolder, which datasets and diffusers read."""
    from mep.artifacts import Images, Prompts, TrainingSet
    from mep.artifacts.imagefolder import write_imagefolder
    from mep.config import Config
    from mep.runner.samples import arms_of
    from mep.store.runs import find_run

    store = open_store(runs, must_exist=True)
    chosen = arms_of(store, str(find_run(store, run_id)["run_id"]), [arm] if arm else [], "prompts")[-1]
    images = Images.load(chosen.folders["dataset"], chosen.experiment.dataset)
    training_set = TrainingSet.load(chosen.folders["balancing"], Config())
    prompts = Prompts.load(chosen.folders["prompts"], Config())
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name a new folder")
    counts = write_imagefolder(images, training_set, prompts, folder)
    tell(
        f"{counts['linked']} images linked, {counts['copied']} copied, {counts['converted']} converted to PNG;"
        f" captions of arm '{chosen.name}'"
    )
    show(str(folder))
