"""The pictures of the page: real images, samples beside them, clusters, outliers."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mep.artifacts import HELDOUT, TRAIN, Clusters, Images, Inliers, Prompts, Samples, TrainingSet
from mep.report.data import ArmReport, RunReport
from mep.report.pictures import Picture, Pictures, spread
from mep.report.text import clipped, plain

MB = 1_000_000
REAL_BUDGET, SAMPLE_BUDGET, CLUSTER_BUDGET, OUTLIER_BUDGET = 1.5 * MB, 5 * MB, 3 * MB, 0.5 * MB
"""Bytes of the pictures of a section, 10 MB in all: the page then stays well below 15 MB."""

N_REAL_PER_LABEL = 8
N_MADE_PER_PROMPT = 8
FEW_PROMPTS = 12
"""With as many prompts or fewer, twice as many samples of each are shown."""
N_REAL_PER_PROMPT = 4
N_PER_CLUSTER = 12
N_OUTLIERS = 12

NO_LABEL = "no label"

MEASURED = re.compile(r"^(.*?) -?[0-9.]+(?:e[+-]?[0-9]+)? ([<>]=?) ")
"""What was measured within a reason such as `std_v 3.2 < 4`; the rule is the reason without it."""


@dataclass(frozen=True)
class LabelTiles:
    label: str
    n_train: int
    n_heldout: int
    train: list[Picture]
    heldout: list[Picture]


@dataclass(frozen=True)
class PromptTiles:
    """A prompt with its first samples and real training images of the same record."""

    id: str
    caption: str
    n_real: int
    n_made: int
    real: list[Picture]
    made: list[Picture]


@dataclass(frozen=True)
class SampleTiles:
    arms: list[str]
    prompts: list[PromptTiles]
    n_prompts: int


@dataclass(frozen=True)
class ClusterCard:
    """mix     (label, share of the cluster's images), largest share first"""

    number: int
    size: int
    share: float
    mix: list[tuple[str, float]]
    nearest: list[Picture]


@dataclass(frozen=True)
class ClusterTiles:
    arms: list[str]
    cards: list[ClusterCard]
    n_clusters: int
    n_without: int


@dataclass(frozen=True)
class OutlierTiles:
    """rules    (rule, images that break it); an image may break several"""

    arms: list[str]
    n_removed: int
    n_images: int
    rules: list[tuple[str, int]]
    removed: list[tuple[Picture, str]]


class RealImages:
    """Pictures of the dataset by image id."""

    def __init__(self, images: Images):
        self.images = images
        self.row_of = {image_id: row for row, image_id in enumerate(images.ids)}

    def label_of(self, image_id: str) -> str:
        return self.images.label_of(self.row_of[image_id]) or NO_LABEL

    def picture(self, image_id: str, pictures: Pictures) -> Picture:
        row = self.row_of[image_id]
        alt = f"real image {clipped(plain(image_id))}, {clipped(plain(self.label_of(image_id)))}"
        return pictures.of(lambda: self.images.read(row), alt, int(self.images.sizes[row].min()))


def real_tiles(report: RunReport) -> list[tuple[list[str], list[LabelTiles]]]:
    """Training and held-out images of every label, for every distinct dataset."""
    shared = report.sharing(Images)
    return [(arms, list(_labels(images, REAL_BUDGET / len(shared)))) for arms, images in shared]


def _labels(images: Images, budget_bytes: float) -> Iterator[LabelTiles]:
    real, pictures = RealImages(images), Pictures(budget_bytes)
    numbers = range(len(images.label_names)) if images.label_names else [-1]
    for number in numbers:
        if pictures.full:
            return
        sides = [np.flatnonzero((images.labels == number) & (images.splits == split)) for split in (TRAIN, HELDOUT)]
        shown = [
            [real.picture(images.ids[rows[place]], pictures) for place in spread(len(rows), N_REAL_PER_LABEL)]
            for rows in sides
        ]
        name = images.label_names[number] if number >= 0 else NO_LABEL
        yield LabelTiles(name, len(sides[0]), len(sides[1]), *shown)


def sample_tiles(report: RunReport) -> list[SampleTiles]:
    """Samples of every prompt, for every arm that has drawn some."""
    by_name = {arm.name: arm for arm in report.arms}
    shared = report.sharing(Samples)
    return [
        _samples(by_name[arms[0]], samples, arms, Pictures(SAMPLE_BUDGET / len(shared))) for arms, samples in shared
    ]


def _samples(arm: ArmReport, samples: Samples, arms: list[str], pictures: Pictures) -> SampleTiles:
    made: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in samples.rows:
        made[row["prompt_id"]].append(row)
    images, known = arm.get(Images), _real_by_prompt(arm)
    real = RealImages(images) if images else None
    wanted = N_MADE_PER_PROMPT * (2 if len(made) <= FEW_PROMPTS else 1)
    prompts = []
    for prompt_id, rows in made.items():
        if pictures.full:
            break
        ids = known.get(prompt_id, [])
        prompts.append(
            PromptTiles(
                id=prompt_id,
                caption=rows[0]["text"],
                n_real=len(ids),
                n_made=len(rows),
                real=[real.picture(ids[p], pictures) for p in spread(len(ids), N_REAL_PER_PROMPT)] if real else [],
                made=[_sample(samples, row, pictures) for row in rows[:wanted]],
            )
        )
    return SampleTiles(arms, prompts, len(made))


def _sample(samples: Samples, row: dict[str, Any], pictures: Pictures) -> Picture:
    return pictures.of(lambda: samples.read(row), f"generated image {row['ordinal']} of {clipped(plain(row['text']))}")


def _real_by_prompt(arm: ArmReport) -> dict[str, list[str]]:
    """Prompt id -> ids of the training images that it captions."""
    prompts, training_set = arm.get(Prompts), arm.get(TrainingSet)
    found: dict[str, list[str]] = defaultdict(list)
    if prompts and training_set:
        for image_id in training_set.ids:
            found[prompts.prompts[prompts.of_image[image_id]].id].append(image_id)
    return found


def cluster_tiles(report: RunReport) -> list[ClusterTiles]:
    """A card a cluster, largest first, for every distinct clustering."""
    by_name = {arm.name: arm for arm in report.arms}
    shared = report.sharing(Clusters)
    found = []
    for arms, clusters in shared:
        images = by_name[arms[0]].get(Images)
        if images is not None:
            cards = list(_cards(clusters, RealImages(images), Pictures(CLUSTER_BUDGET / len(shared))))
            found.append(ClusterTiles(arms, cards, clusters.n_clusters, int((clusters.labels < 0).sum())))
    return found


def _cards(clusters: Clusters, real: RealImages, pictures: Pictures) -> Iterator[ClusterCard]:
    for number in range(clusters.n_clusters):
        if pictures.full:
            return
        rows = np.flatnonzero(clusters.labels == number)
        nearest = rows[np.argsort(clusters.distances[rows], kind="stable")][:N_PER_CLUSTER]
        labels = Counter(real.label_of(clusters.ids[row]) for row in rows)
        yield ClusterCard(
            number=number,
            size=len(rows),
            share=len(rows) / len(clusters.ids),
            mix=[(label, count / len(rows)) for label, count in labels.most_common()],
            nearest=[real.picture(clusters.ids[row], pictures) for row in nearest],
        )


def outlier_tiles(report: RunReport) -> list[OutlierTiles]:
    """What was removed and by which rule, for every distinct detection."""
    by_name = {arm.name: arm for arm in report.arms}
    shared = report.sharing(Inliers)
    found = []
    for arms, inliers in shared:
        images, pictures = by_name[arms[0]].get(Images), Pictures(OUTLIER_BUDGET / len(shared))
        removed = np.flatnonzero(~inliers.mask)
        rules = Counter(rule for row in removed for rule in rules_of(inliers.reasons[row]))
        shown: list[tuple[Picture, str]] = []
        if images is not None:
            real = RealImages(images)
            for place in spread(len(removed), N_OUTLIERS):
                row = removed[place]
                shown.append((real.picture(inliers.ids[row], pictures), inliers.reasons[row]))
        found.append(OutlierTiles(arms, len(removed), len(inliers.ids), rules.most_common(), shown))
    return found


def rules_of(reason: str) -> list[str]:
    """The rules that an image broke: `std_v 3.2 < 4, var_l 80 < 100` broke `std_v < 4` and `var_l < 100`."""
    return [MEASURED.sub(r"\1 \2 ", part) for part in reason.split(", ")] if reason else ["no reason given"]
