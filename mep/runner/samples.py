"""A few more images from a finished run, and a look at those that it has drawn."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.artifacts import Guidance, Model, Prompt, Prompts, Samples
from mep.config import Config
from mep.errors import UsageError
from mep.machine.files import read_json, write_bytes
from mep.machine.jobs import run_in_process
from mep.machine.settings import MachineConfig
from mep.machine.work import Work
from mep.methods.samplers import Sampler
from mep.recipe import load_recipe
from mep.recipe.model import Experiment, training_of
from mep.registry import members
from mep.runner.fingerprint import seed_of
from mep.sections.generation import GenerationConfig
from mep.stages.generation.contact_sheets import labelled_grid
from mep.stages.generation.schedule import SamplePlan, file_name
from mep.stages.generation.stage import saving_files
from mep.stages.guidance import guided_job
from mep.store import Store
from mep.store.manifest import MARKS

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Arm:
    """One arm of a run: what it is, where it runs, and the folder of every artifact that it has."""

    name: str
    experiment: Experiment
    machine: MachineConfig
    folders: dict[str, Path]


def arms_of(store: Store, run_id: str, wanted: Sequence[str], stage: str) -> list[Arm]:
    """The arms of a run that have the artifact of a stage; all of them where none is named.

    UsageError      an arm is not there, or has not come so far
    """
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml", paths_must_exist=False)
    for name in wanted:
        if name not in recipe.arms:
            raise UsageError(f"run {run_id} has no arm '{name}'", hint=f"known: {', '.join(recipe.arms)}")
    folders: dict[str, dict[str, Path]] = {name: {} for name in recipe.arms}
    for row in store.db.query("SELECT arm, stage, artifact_id FROM uses WHERE run_id = ?", run_id):
        folders[row["arm"]][row["stage"]] = store.folder(row["artifact_id"])
    names = wanted or list(recipe.arms)
    missing = [name for name in names if not all(_has_files(folders[name].get(one)) for one in (stage, "prompts"))]
    if stage == "training" and (without := [name for name in names if recipe.arms[name].made_elsewhere == "images"]):
        if wanted or len(without) == len(names):
            raise UsageError(f"the images of {', '.join(without)} were made elsewhere: there is no model to draw with")
        missing = [name for name in missing if name not in without]
        names = [name for name in names if name not in without]
    if missing and (wanted or len(missing) == len(names)):
        raise UsageError(
            f"{', '.join(missing)} of run {run_id} has no artifact of stage '{stage}'",
            hint=f"carry the run to its end: mep resume {run_id}",
        )
    return [Arm(name, recipe.arms[name], recipe.machine, folders[name]) for name in names if name not in missing]


def _has_files(folder: Path | None) -> bool:
    """Whether more is there of an artifact than its manifest."""
    return folder is not None and folder.is_dir() and any(path.name not in MARKS for path in folder.iterdir())


def draw(
    arm: Arm, wanted: Sequence[str], n: int, folder: Path, *, changes: dict[str, Any], seed: int | None
) -> Iterator[dict[str, Any]]:
    """Draw n images for each prompt into folder/<prompt>/..., one row for each as it is drawn.

    wanted      ids or texts of prompts of the dataset, which give the very images of the dataset, or any other text
    changes     fields of `generation` that are to be different
    seed        instead of the recipe's
    """
    config = GenerationConfig.model_validate(arm.experiment.generation.model_dump() | changes)
    drawn = Prompts.load(arm.folders["prompts"], Config()).prompts
    prompts = list({prompt.id: prompt for prompt in (_prompt(text, drawn, arm.name) for text in wanted)}.values())
    if seed is None:
        seed = seed_of((arm.experiment.seed, training_of(arm.name)))
    work = Work(folder=folder, seed=seed, machine=arm.machine)
    plan = SamplePlan(prompts, [n] * len(prompts), work.seed_for, config.format)
    model = Model(arm.folders["training"])
    generated = arm.folders.get("generation", Path()) / "generation.json"
    native_px = read_json(generated)["saved_px"] if generated.is_file() else model.resolution
    scale = config.guidance if isinstance(config.guidance, float) else _chosen_scale(arm)
    job = saving_files(guided_job(config, scale, model, work, len(plan)), config, native_px)
    samples = [plan.sample(number) for number in range(len(plan))]
    batches = [samples[start : start + job.batch_size] for start in range(0, len(samples), job.batch_size)]
    for _, drawings in run_in_process(job, batches, work.device, lambda: None):
        for drawing in drawings:
            sample = plan.sample(drawing.number)
            path = folder / sample.prompt.id / Path(sample.file_name).name
            if not drawing.refused:
                write_bytes(path, drawing.content)
            yield {
                "file": None if drawing.refused else str(path),
                "arm": arm.name,
                "prompt_id": sample.prompt.id,
                "text": sample.prompt.text,
                "ordinal": sample.ordinal,
                "seed": sample.seed,
                "refused": drawing.refused,
            }


def _chosen_scale(arm: Arm) -> float:
    """The guidance that was chosen in the run.

    UsageError      its artifact was collected, or did not come with the run
    """
    if not _has_files(arm.folders.get("guidance")):
        raise UsageError("the guidance that this run has chosen is not here", hint="say one: --guidance 3")
    return Guidance.load(arm.folders["guidance"], Config()).scale


def _prompt(text: str, prompts: Sequence[Prompt], arm: str) -> Prompt:
    """The prompt of the dataset with this id or text, or a new one.

    UsageError      no text, or an id that this arm does not have
    """
    for prompt in prompts:
        if text in (prompt.id, prompt.text):
            return prompt
    if not text.strip():
        raise UsageError("a prompt is empty", hint="give the id of a prompt, or words")
    if re.fullmatch(r"\S*_c\d\d+|c\d\d+", text):  # as ids of prompts look, and words do not
        hint = f"known: {', '.join(prompt.id for prompt in prompts[:20])}; of another arm: --arm NAME"
        raise UsageError(f"arm {arm} has no prompt '{text}'", hint=hint)
    return Prompt(f"free-{hashlib.sha256(text.encode()).hexdigest()[:10]}", text, None, None, 0)


def sample_grid(arm: Arm, prompt_ids: Sequence[str], columns: int, cell_px: int) -> "Image":
    """The first images of every prompt of an arm, a row for each prompt.

    UsageError      no such prompt
    """
    samples = Samples(arm.folders["generation"])
    all_ids = [prompt.id for prompt in Prompts.load(arm.folders["prompts"], Config()).prompts]
    for prompt_id in prompt_ids:
        if prompt_id not in all_ids:
            raise UsageError(f"arm {arm.name} has no prompt '{prompt_id}'", hint=f"known: {', '.join(all_ids[:20])}")
    form = read_json(samples.folder / "generation.json")["format"]
    cells: dict[str, list[Path | None]] = {}
    for prompt_id in prompt_ids or all_ids:
        paths = [samples.folder / file_name(prompt_id, ordinal, form) for ordinal in range(columns)]
        cells[prompt_id] = [path if path.is_file() else None for path in paths]
    return labelled_grid(cells, cell_px)


def changed(arm: Arm, *, guidance: float | None, sampler: str | None, steps: int | None) -> dict[str, Any]:
    """Fields of `generation` that the command line changes.

    UsageError      no such sampler
    """
    changes: dict[str, Any] = {} if guidance is None else {"guidance": guidance}
    if sampler is not None and sampler not in members(Sampler):
        raise UsageError(f"'{sampler}' is not a sampler", hint=f"known: {', '.join(members(Sampler))}")
    if sampler is not None or steps is not None:
        before = arm.experiment.generation.sampler
        kept = before.model_dump() if sampler in (None, before.kind) else {"kind": sampler, "steps": before.steps}
        changes["sampler"] = kept | ({} if steps is None else {"steps": steps})
    return changes
