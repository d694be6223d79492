"""Real images beside the samples of all arms, label by label and prompt by prompt."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Images, Prompts, TrainingSet
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.figures.pictures import Pictures, affordable
from mep.report.figures.strips import NO_LABEL, RealImages, SampleSet, Strip
from mep.store.database import Row

REAL_BUDGET, PROMPT_BUDGET = 1_500_000, 5_000_000
"""Bytes of the pictures by label and by prompt; with those of all other sections and of the scripts below 15 MB."""

N_PER_LABEL, N_MADE_PER_PROMPT, N_REAL_PER_PROMPT = 12, 16, 8
COUNTS = (N_MADE_PER_PROMPT, 12, 8, 6, 4, 2)
"""Samples of a prompt and an arm that are tried, where pictures would not fit: textures need every pixel of fewer."""
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


Blocks = tuple[list[Block], int]
"""Those that are shown, and how many there are."""


def label_blocks(report: Report, sets: Sequence[SampleSet]) -> Blocks:
    """Real held-out and training images of every label, above samples of every arm for it."""
    datasets = report.shared(Images)
    pictures = Pictures(REAL_BUDGET, kept=report.kept)
    unnamed: list[str | None] = [None]
    names = [(shared, name) for shared in datasets for name in shared.artifact.label_names or unnamed]
    blocks: list[Block] = []
    for shared, name in names:
        if pictures.full:
            break
        strips = list(_real_of_label(shared.artifact, name, pictures))
        for samples in (samples for samples in sets if samples.arms[0] in shared.labels):
            if rows := [row for row in samples.rows if name is None or row["label"] == name]:
                strips.append(samples.strip(rows, N_PER_LABEL, pictures, spread_out=True))
        of_arms = "" if len(datasets) == 1 else ", ".join(shared.labels)
        blocks.append(Block(NO_LABEL if name is None else name, of_arms, strips))
    return blocks, len(names)


def _real_of_label(images: Images, name: str | None, pictures: Pictures) -> Iterator[Strip]:
    real, number = RealImages(images), -1 if name is None else images.label_names.index(name)
    for what, split in SPLITS.items():
        rows = np.flatnonzero((images.labels == number) & (images.splits == split))
        if len(rows):
            yield real.strip(what, [images.ids[row] for row in rows], N_PER_LABEL, pictures)


def prompt_blocks(report: Report, sets: Sequence[SampleSet]) -> Blocks:
    """Samples of every prompt, arms that share it one below the other, under training images of the same record."""
    samples_of: dict[str, list[tuple[SampleSet, list[Row]]]] = defaultdict(list)
    for samples in sets:
        rows_of: dict[str, list[Row]] = defaultdict(list)
        for row in samples.rows:
            rows_of[row["prompt_id"]].append(row)
        for prompt_id, rows in rows_of.items():
            samples_of[prompt_id].append((samples, rows))
    n_made = [len(rows) for groups in samples_of.values() for _, rows in groups]
    examples = [samples.shot(row) for samples in sets for row in samples.rows[:8]]
    n_shown, side_px = affordable(
        examples,
        lambda count: sum(min(n, count) for n in n_made) + min(count, N_REAL_PER_PROMPT) * len(samples_of),
        COUNTS,
        PROMPT_BUDGET,
        report.kept,
    )
    pictures = Pictures(PROMPT_BUDGET, side_px, report.kept)
    real_ids = {id(samples): _real_ids_by_prompt(samples.arm) for samples in sets}
    blocks = []
    for prompt_id, groups in samples_of.items():
        if pictures.full:
            break
        first, first_rows = groups[0]
        strips = _real_of_prompt(first.arm, real_ids[id(first)].get(prompt_id, []), n_shown, pictures)
        strips += [samples.strip(rows, n_shown, pictures, spread_out=False) for samples, rows in groups]
        blocks.append(Block(first_rows[0]["text"], prompt_id, strips, _same_noise([rows for _, rows in groups])))
    return blocks, len(samples_of)


def _same_noise(groups: Sequence[Sequence[Row]]) -> bool:
    seeds = [[row.get("seed") for row in rows[:N_MADE_PER_PROMPT]] for rows in groups]
    return len(groups) > 1 and None not in seeds[0] and all(of_arm == seeds[0] for of_arm in seeds)


def _real_of_prompt(arm: OpenArm, image_ids: list[str], n_shown: int, pictures: Pictures) -> list[Strip]:
    images = arm.get(Images)
    if images is None or not image_ids:
        return []
    return [RealImages(images).strip("real, training", image_ids, min(n_shown, N_REAL_PER_PROMPT), pictures)]


def _real_ids_by_prompt(arm: OpenArm) -> dict[str, list[str]]:
    """Prompt id -> ids of the training images that it captions."""
    prompts, training_set = arm.get(Prompts), arm.get(TrainingSet)
    ids: dict[str, list[str]] = defaultdict(list)
    if prompts and training_set:
        for image_id in training_set.ids:
            if image_id in prompts.of_image:
                ids[prompts.prompts[prompts.of_image[image_id]].id].append(image_id)
    return ids
