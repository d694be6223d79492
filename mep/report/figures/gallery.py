"""Real images beside the samples of all arms, label by label and prompt by prompt."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Images, Prompts, TrainingSet
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.figures.pictures import Pictures, affordable_px
from mep.report.figures.strips import NO_LABEL, RealImages, SampleSet, Strip
from mep.store.database import Row

REAL_BUDGET, PROMPT_BUDGET = 2_000_000, 7_000_000
"""Bytes of the pictures by label and by prompt; with those of clusters and outliers 12 MB in all: the page then stays
below 15 MB."""

N_PER_LABEL = 12
N_MADE_PER_PROMPT = 16
N_REAL_PER_PROMPT = 8

SPLITS = {"real, held out": HELDOUT, "real, validation": VALIDATION, "real, training": TRAIN}
"""Held-out first: they are what samples are compared with."""


@dataclass(frozen=True)
class Block:
    """Real images and the samples of every arm for one label or one prompt.

    same_noise      whether the samples of all arms began with the same noise, column by column
    """

    title: str
    id: str
    strips: list[Strip]
    same_noise: bool = False


@dataclass(frozen=True)
class Blocks:
    """Those that are shown, and how many there are."""

    blocks: list[Block]
    n_blocks: int


def label_blocks(report: Report, sets: Sequence[SampleSet]) -> Blocks:
    """Real held-out and training images of every label, above samples of every arm for it."""
    datasets = report.shared(Images)
    pictures = Pictures(REAL_BUDGET)
    blocks: list[Block] = []
    n_blocks = 0
    for shared in datasets:
        images = shared.artifact
        numbers = range(len(images.label_names)) if images.label_names else [-1]
        n_blocks += len(numbers)
        for number in numbers:
            if pictures.full:
                break
            name = images.label_names[number] if number >= 0 else NO_LABEL
            strips = list(_real_of_label(images, number, pictures))
            for samples in sets:
                rows = [row for row in samples.rows if number < 0 or row["label"] == name]
                if samples.arms[0] in shared.labels and rows:
                    strips.append(samples.strip(rows, N_PER_LABEL, pictures, spread_out=True))
            blocks.append(Block(name, "" if len(datasets) == 1 else ", ".join(shared.labels), strips))
    return Blocks(blocks, n_blocks)


def _real_of_label(images: Images, number: int, pictures: Pictures) -> Iterator[Strip]:
    real = RealImages(images)
    for what, split in SPLITS.items():
        rows = np.flatnonzero((images.labels == number) & (images.splits == split))
        if len(rows):
            yield real.strip(what, [images.ids[row] for row in rows], N_PER_LABEL, pictures)


def prompt_blocks(sets: Sequence[SampleSet]) -> Blocks:
    """Samples of every prompt, arms that share it one below the other, under training images of the same record."""
    samples_of: dict[str, list[tuple[SampleSet, list[Row]]]] = defaultdict(list)
    for samples in sets:
        rows_of: dict[str, list[Row]] = defaultdict(list)
        for row in samples.rows:
            rows_of[row["prompt_id"]].append(row)
        for prompt_id, rows in rows_of.items():
            samples_of[prompt_id].append((samples, rows))
    pictures = _pictures_for(sets, samples_of)
    real_ids = {id(samples): _real_ids_by_prompt(samples.arm) for samples in sets}
    blocks = []
    for prompt_id, groups in samples_of.items():
        if pictures.full:
            break
        first, first_rows = groups[0]
        strips = _real_of_prompt(first.arm, real_ids[id(first)].get(prompt_id, []), pictures)
        strips += [samples.strip(rows, N_MADE_PER_PROMPT, pictures, spread_out=False) for samples, rows in groups]
        seeds = [[row.get("seed") for row in rows[:N_MADE_PER_PROMPT]] for _, rows in groups]
        same_noise = len(groups) > 1 and all(of_arm == seeds[0] for of_arm in seeds)
        blocks.append(Block(first_rows[0]["text"], prompt_id, strips, same_noise))
    return Blocks(blocks, len(samples_of))


def _pictures_for(sets: Sequence[SampleSet], samples_of: dict[str, list[tuple[SampleSet, list[Row]]]]) -> Pictures:
    """Pictures as large as the budget allows for that many."""
    n_made = sum(min(len(rows), N_MADE_PER_PROMPT) for groups in samples_of.values() for _, rows in groups)
    n_real = N_REAL_PER_PROMPT * len(samples_of)
    pictures = Pictures(PROMPT_BUDGET)
    if sets:
        examples = [
            (lambda row=row, samples=samples: samples.samples.read(row)) for samples in sets for row in samples.rows[:8]
        ]
        pictures.largest_px = affordable_px(examples, n_made + n_real, PROMPT_BUDGET)
    return pictures


def _real_of_prompt(arm: OpenArm, image_ids: list[str], pictures: Pictures) -> list[Strip]:
    images = arm.get(Images)
    if images is None or not image_ids:
        return []
    return [RealImages(images).strip("real, training", image_ids, N_REAL_PER_PROMPT, pictures)]


def _real_ids_by_prompt(arm: OpenArm) -> dict[str, list[str]]:
    """Prompt id -> ids of the training images that it captions."""
    prompts, training_set = arm.get(Prompts), arm.get(TrainingSet)
    ids: dict[str, list[str]] = defaultdict(list)
    if prompts and training_set:
        for image_id in training_set.ids:
            if image_id in prompts.of_image:
                ids[prompts.prompts[prompts.of_image[image_id]].id].append(image_id)
    return ids
