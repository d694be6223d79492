"""What a run asks for, told before it starts: counts, downloads, disk, time and memory, and captions that will not do.

Numbers of finished stages are exact. Those of others are told as far as the recipe and the list of images tell them.
"""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from mep.artifacts import Prompt, Prompts, TrainingSet
from mep.config import Download, parts
from mep.errors import DataError
from mep.imaging.pixels import SYMMETRIES
from mep.machine.devices import resolve_device
from mep.recipe.model import Experiment, repeat_of
from mep.runner.caption_lengths import longest_captions
from mep.runner.detection import Detection, detection
from mep.runner.plan import Plan, Task
from mep.runner.prompts_ahead import Listing, listing_of, possible_prompts
from mep.runner.side_by_side import batches
from mep.stages.generation.shares import counts_of
from mep.store import ArtifactT, Store
from mep.store.database import Row

BYTES_PER_PIXEL = 2.0  # of a PNG of tissue, measured on the tiles of the quickstart: 1.9


@dataclass
class ArmForecast:
    """Counts of an arm; None where they cannot be told yet.

    prompts     at most, unless the captions are there already
    """

    arm: str
    images: int | None = None
    labels: int | None = None
    prompts: int | None = None
    training_images: int | None = None
    steps: int = 0
    samples: int | None = None
    are_known: bool = False
    """Whether prompts and samples are exact."""


@dataclass
class Forecast:
    """
    downloads   section and name -> what is not on this machine
    disk_bytes  of latents and samples that are yet to be made; models and checkpoints come on top
    fetch_bytes of what comes from shared stores
    time_s      of the stages that are yet to be made, as they took in earlier runs of this store; None where one of
                them has not run here
    memory_mb   the most that one of them took then
    untimed     stages that have not run here
    notes       captions that are too long, empty or alike; groups that are short of images; slow arithmetic
    arithmetic  training and generation -> the precisions that the arms have
    skipped     control that the recipe asks for -> why it is not run
    detection   which difference the run could detect
    """

    arms: list[ArmForecast]
    downloads: dict[str, Download] = field(default_factory=dict)
    disk_bytes: int = 0
    fetch_bytes: int = 0
    time_s: float | None = None
    memory_mb: float | None = None
    untimed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    arithmetic: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    detection: Detection | None = None


def forecast(plan: Plan, store: Store) -> Forecast:
    """Look ahead; nothing is made or fetched, and the hub is asked only for sizes."""
    ahead = Forecast([], skipped=plan.recipe.skipped)
    captions, training_sets = _finished(plan, store, Prompts), _finished(plan, store, TrainingSet)
    listings: dict[str, Listing | None] = {}
    disk: dict[str, int] = {}
    for arm, experiment in plan.recipe.arms.items():
        tasks = plan.of_arm(arm)
        key = experiment.dataset.model_dump_json()
        if key not in listings:
            listings[key] = listing_of(experiment)
        counts, prompts = _counts(arm, experiment, listings[key], captions.get(tasks["prompts"].artifact_id))
        ahead.arms.append(counts)
        training_set = training_sets.get(tasks["balancing"].artifact_id)
        counts.training_images = len(training_set.ids) if training_set else None
        if repeat_of(arm)[1] == 1:
            apart = bool(experiment.prompts.apart_by)
            ahead.notes += _caption_notes(prompts, longest_captions(experiment, prompts), may_be_alike=apart)
            ahead.notes += training_set.shortage if training_set else _starving(experiment, listings[key])
        disk |= _disk(experiment, tasks, counts)
    ahead.arithmetic = _arithmetic(plan)
    ahead.notes = list(dict.fromkeys([*ahead.notes, *_slow_arithmetic(plan, ahead.arithmetic)]))
    ahead.disk_bytes = sum(disk.values())
    ahead.fetch_bytes = sum(task.fetch_bytes for task in plan.tasks)
    ahead.downloads = _downloads(plan)
    _add_cost(ahead, plan, store)
    ahead.detection = detection(plan, store, ahead.arms[0].samples)
    return ahead


def _finished(plan: Plan, store: Store, kind: type[ArtifactT]) -> dict[str, ArtifactT]:
    """The artifacts of a type that are there already, by id."""
    tasks = [task for task in plan.tasks if task.status == "reuse" and task.stage.output is kind]
    return {task.artifact_id: store.load(kind, task.artifact_id, task.config) for task in tasks}


def _counts(
    arm: str, experiment: Experiment, listing: Listing | None, captions: Prompts | None
) -> tuple[ArmForecast, list[Prompt]]:
    counts = ArmForecast(arm, steps=0 if experiment.made_elsewhere else experiment.training.steps)
    prompts: list[Prompt] = []
    if listing:
        counts.images, counts.labels = listing[0], len(listing[1])
        prompts = possible_prompts(experiment, *listing[1:])
    if captions:
        prompts, counts.are_known = captions.prompts, True
    counts.prompts = len(prompts) or None
    if prompts:
        with suppress(DataError):  # a table of prompts that are not known yet
            counts.samples = sum(counts_of(experiment.generation.allocation, prompts, [1] * len(prompts)))
    return counts, prompts


def _starving(experiment: Experiment, listing: Listing | None) -> list[str]:
    """The label that will starve a balanced set, by all its images: training sees fewer yet."""
    config = experiment.balancing
    if listing is None or config.keys[0] != "label":
        return []
    return [f"balancing: {text}, at most" for text in config.method.foresee(listing[1])]


def _caption_notes(prompts: list[Prompt], long: list[tuple[str, int, int]], *, may_be_alike: bool) -> list[str]:
    """Captions that are too long, empty, or the same once the tokenizer has ignored case and spaces."""
    notes = [f"the caption of {prompt.id} is empty" for prompt in prompts if not prompt.text.strip()]
    notes += [f"at least {n} tokens, of which {most} are read: {text[:60]}..." for text, n, most in long]
    seen = Counter() if may_be_alike else Counter(" ".join(prompt.text.lower().split()) for prompt in prompts)
    notes += [f"{n} prompts have the same caption: {text[:60]}" for text, n in seen.items() if n > 1]
    return notes if len(notes) <= 5 else [*notes[:5], f"... and {len(notes) - 5} more of this kind"]


def _disk(experiment: Experiment, tasks: dict[str, Task], counts: ArmForecast) -> dict[str, int]:
    """Bytes of what is yet to be made, by artifact; arms that share one name it alike."""
    base = experiment.training.base
    side = base.resolution
    n_bytes = {}
    n_images = counts.training_images or counts.images
    if "latents" in tasks and not tasks["latents"].is_made and n_images:
        n_symmetries = len(SYMMETRIES[experiment.training.symmetries])
        of_number = {"latents": 8 * n_symmetries, "compact": 2 * n_symmetries + 1, "off": 0}  # mean and deviation
        n_bytes[tasks["latents"].artifact_id] = n_images * base.latent_numbers * of_number[experiment.training.cache]
    if not tasks["generation"].is_made and counts.samples:
        n_bytes[tasks["generation"].artifact_id] = int(counts.samples * side * side * BYTES_PER_PIXEL)
    return n_bytes


def _arithmetic(plan: Plan) -> dict[str, list[str]]:
    chosen: dict[str, list[str]] = {"training": [], "generation": []}
    for arm in plan.recipe.arms.values():
        chosen["training"].append(arm.training.precision)
        chosen["generation"].append(arm.generation.precision)
    return {section: list(dict.fromkeys(values)) for section, values in chosen.items()}


def _slow_arithmetic(plan: Plan, arithmetic: dict[str, list[str]]) -> list[str]:
    """Sections yet to be made that a GPU of this machine would compute in float32, as its other cores do not."""
    waiting = {task.stage.section for task in plan.tasks if not task.is_made}
    slow = [section for section, chosen in arithmetic.items() if "fp32" in chosen and section in waiting]
    if not slow or not resolve_device(plan.recipe.machine.device).startswith("cuda"):
        return []
    return [
        f"{section}.precision: fp32 on a GPU; bf16 is several times faster there, with other digits" for section in slow
    ]


def _downloads(plan: Plan) -> dict[str, Download]:
    downloads: dict[str, Download] = {}
    for task in plan.tasks:
        for part in parts(task.config) if not task.is_made else ():
            missing = part.missing()
            if missing and missing not in downloads.values():
                downloads[f"{task.stage.section}: {missing.id}"] = missing
    return downloads


def _add_cost(ahead: Forecast, plan: Plan, store: Store) -> None:
    """Time and memory as the stages took them before, training by its steps and generation by its images."""
    rows = store.db.query(
        "SELECT artifacts.stage, wall_s, peak_memory_mb, facts FROM attempts JOIN artifacts USING (artifact_id)"
        " WHERE state = 'done' AND wall_s IS NOT NULL ORDER BY attempt_id"
    )
    before = {row["stage"]: row for row in rows}
    samples = {arm.arm: arm.samples for arm in ahead.arms}
    ahead.time_s, ahead.memory_mb = 0.0, 0.0
    machine = plan.recipe.machine
    for batch in batches((task for task in plan.tasks if not task.is_made), machine):
        ahead.untimed += [task.stage.name for task in batch if task.stage.name not in before]
        timed = [task for task in batch if task.stage.name in before]
        times = [_time_s(task, before[task.stage.name], plan, samples) for task in timed]
        memory = sorted(before[task.stage.name]["peak_memory_mb"] or 0.0 for task in timed)
        if timed:
            ahead.time_s += max(max(times), sum(times) / machine.at_once)
            ahead.memory_mb = max(ahead.memory_mb, sum(memory[-machine.at_once :]))
    ahead.untimed = list(dict.fromkeys(ahead.untimed))
    if ahead.untimed:
        ahead.time_s = None


def _time_s(task: Task, row: Row, plan: Plan, samples: dict[str, int | None]) -> float:
    facts, times, experiment = json.loads(row["facts"]), 1.0, plan.recipe.arms[task.arms[0]]
    if task.stage.name == "training" and not experiment.made_elsewhere:
        times = experiment.training.steps / max(facts.get("steps", 1), 1)
    elif task.stage.name == "generation":
        times = (samples[task.arms[0]] or facts.get("images", 1)) / max(facts.get("images", 1), 1)
    return float(row["wall_s"]) * times
