"""The pictures of the page: real images, samples of all arms beside them, clusters, outliers."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Clusters, Images, Inliers, Prompts, Samples, TrainingSet
from mep.report.data.runs import ArmReport, Report
from mep.report.figures.pictures import Picture, Pictures, affordable_px, spread
from mep.report.text import clipped, plain, rounded

MB = 1_000_000
REAL_BUDGET, PROMPT_BUDGET, CLUSTER_BUDGET, OUTLIER_BUDGET = 2 * MB, 7 * MB, 2.5 * MB, 0.5 * MB
"""Bytes of the pictures of a section, 12 MB in all: the page then stays below 15 MB."""

N_PER_LABEL = 12
N_MADE_PER_PROMPT = 16
N_REAL_PER_PROMPT = 8
N_PER_CLUSTER, N_MADE_PER_CLUSTER = 12, 8
N_OUTLIERS = 12

NO_LABEL = "no label"

MEASURED = re.compile(r"^(.*?) -?[0-9.]+(?:e[+-]?[0-9]+)? ([<>]=?) ")
"""What was measured within a reason such as `std_v 3.2 < 4`; the rule is the reason without it."""


@dataclass(frozen=True)
class Strip:
    """Pictures in a row and what they are: samples of an arm, or real images where `arms` is empty."""

    arms: list[str]
    what: str
    n: int
    pictures: list[Picture]


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
    blocks: list[Block]
    n_blocks: int


@dataclass(frozen=True)
class ClusterCard:
    """
    mix     (label, share of the cluster's images), largest share first
    facts   what the clustering says of it: compactness, stability, the nearest cluster
    """

    number: int
    size: int
    share: float
    mix: list[tuple[str, float]]
    nearest: list[Picture]
    made: list[Strip]
    facts: dict[str, str]


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


Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The samples that some arms share, with what the first of them knows about them."""

    arms: list[str]
    arm: ArmReport
    samples: Samples
    rows: Rows

    def strip(self, rows: Rows, n_shown: int, pictures: Pictures, *, spread_out: bool) -> Strip:
        places = spread(len(rows), n_shown) if spread_out else list(range(min(len(rows), n_shown)))
        shown = [self.picture(rows[place], pictures) for place in places]
        return Strip(self.arms, "generated", len(rows), shown)

    def picture(self, row: dict[str, Any], pictures: Pictures) -> Picture:
        alt = f"generated image {row['ordinal']} of {clipped(plain(row['text']))}"
        return pictures.of(lambda: self.samples.read(row), alt)


def drawn(report: Report) -> list[Drawn]:
    """Every distinct set of samples, with its rows read once."""
    by_name = {arm.name: arm for arm in report.arms}
    return [Drawn(arms, by_name[arms[0]], samples, samples.rows) for arms, samples in report.sharing(Samples)]


def label_blocks(report: Report, sets: Sequence[Drawn]) -> Blocks:
    """Real held-out and training images of every label, above samples of every arm for it."""
    shared = report.sharing(Images)
    pictures = Pictures(REAL_BUDGET)
    blocks: list[Block] = []
    n_blocks = 0
    for arms, images in shared:
        names = list(range(len(images.label_names))) if images.label_names else [-1]
        n_blocks += len(names)
        for number in names:
            if pictures.full:
                break
            name = images.label_names[number] if number >= 0 else NO_LABEL
            strips = list(_real_strips(images, number, pictures))
            for one in sets:
                if one.arms[0] in arms:
                    rows = [row for row in one.rows if number < 0 or row["label"] == name]
                    if rows:
                        strips.append(one.strip(rows, N_PER_LABEL, pictures, spread_out=True))
            blocks.append(Block(name, "" if len(shared) == 1 else ", ".join(arms), strips))
    return Blocks(blocks, n_blocks)


def _real_strips(images: Images, number: int, pictures: Pictures) -> Iterator[Strip]:
    """Held-out first: they are what samples are compared with."""
    real = RealImages(images)
    sides = {"real, held out": HELDOUT, "real, validation": VALIDATION, "real, training": TRAIN}
    for what, split in sides.items():
        rows = np.flatnonzero((images.labels == number) & (images.splits == split))
        if len(rows):
            shown = [real.picture(images.ids[rows[place]], pictures) for place in spread(len(rows), N_PER_LABEL)]
            yield Strip([], what, len(rows), shown)


def prompt_blocks(sets: Sequence[Drawn]) -> Blocks:
    """Samples of every prompt, arms that share it one below the other, under training images of the same record."""
    made: dict[str, list[tuple[Drawn, Rows]]] = defaultdict(list)
    for one in sets:
        own: dict[str, Rows] = defaultdict(list)
        for row in one.rows:
            own[row["prompt_id"]].append(row)
        for prompt_id, rows in own.items():
            made[prompt_id].append((one, rows))
    n_made = sum(min(len(rows), N_MADE_PER_PROMPT) for own in made.values() for _, rows in own)
    n_real = N_REAL_PER_PROMPT * len(made)
    pictures = Pictures(PROMPT_BUDGET)
    if sets:
        first = [(lambda row=row, one=one: one.samples.read(row)) for one in sets for row in one.rows[:8]]
        pictures.largest_px = affordable_px(first, n_made + n_real, PROMPT_BUDGET)
    known = {id(one): _real_by_prompt(one.arm) for one in sets}
    blocks = []
    for prompt_id, groups in made.items():
        if pictures.full:
            break
        strips = _real_of_prompt(groups[0][0], known[id(groups[0][0])].get(prompt_id, []), pictures)
        strips += [one.strip(rows, N_MADE_PER_PROMPT, pictures, spread_out=False) for one, rows in groups]
        seeds = [[row.get("seed") for row in rows[:N_MADE_PER_PROMPT]] for _, rows in groups]
        same = len(groups) > 1 and all(own == seeds[0] for own in seeds)
        blocks.append(Block(groups[0][1][0]["text"], prompt_id, strips, same))
    return Blocks(blocks, len(made))


def _real_of_prompt(one: Drawn, ids: list[str], pictures: Pictures) -> list[Strip]:
    images = one.arm.get(Images)
    if images is None or not ids:
        return []
    real = RealImages(images)
    shown = [real.picture(ids[place], pictures) for place in spread(len(ids), N_REAL_PER_PROMPT)]
    return [Strip([], "real, training", len(ids), shown)]


def _real_by_prompt(arm: ArmReport) -> dict[str, list[str]]:
    """Prompt id -> ids of the training images that it captions."""
    prompts, training_set = arm.get(Prompts), arm.get(TrainingSet)
    found: dict[str, list[str]] = defaultdict(list)
    if prompts and training_set:
        for image_id in training_set.ids:
            if image_id in prompts.of_image:
                found[prompts.prompts[prompts.of_image[image_id]].id].append(image_id)
    return found


def cluster_tiles(report: Report, sets: Sequence[Drawn]) -> list[ClusterTiles]:
    """A card a cluster, largest first, for every distinct clustering, with what was drawn for the cluster."""
    by_name = {arm.name: arm for arm in report.arms}
    shared = report.sharing(Clusters)
    found = []
    for arms, clusters in shared:
        images = by_name[arms[0]].get(Images)
        if images is not None:
            own = [one for one in sets if one.arms[0] in arms]
            cards = list(_cards(clusters, RealImages(images), own, Pictures(CLUSTER_BUDGET / len(shared), 64)))
            found.append(ClusterTiles(arms, cards, clusters.n_clusters, int((clusters.labels < 0).sum())))
    return found


def _cards(clusters: Clusters, real: RealImages, sets: Sequence[Drawn], pictures: Pictures) -> Iterator[ClusterCard]:
    summaries = {summary["cluster"]: summary for summary in clusters.summaries}
    for number in range(clusters.n_clusters):
        if pictures.full:
            return
        rows = np.flatnonzero(clusters.labels == number)
        nearest = rows[np.argsort(clusters.distances[rows], kind="stable")][:N_PER_CLUSTER]
        labels = Counter(real.label_of(clusters.ids[row]) for row in rows)
        made = []
        for one in sets:
            if of_cluster := [row for row in one.rows if row.get("cluster") == number]:
                made.append(one.strip(of_cluster, N_MADE_PER_CLUSTER, pictures, spread_out=True))
        yield ClusterCard(
            number=number,
            size=len(rows),
            share=len(rows) / len(clusters.ids),
            mix=[(label, count / len(rows)) for label, count in labels.most_common()],
            nearest=[real.picture(clusters.ids[row], pictures) for row in nearest],
            made=made,
            facts=_facts(summaries.get(number, {})),
        )


def _facts(summary: Mapping[str, object]) -> dict[str, str]:
    shown = {name: summary.get(name) for name in ("compactness", "stability")}
    found = {name: rounded(value) for name, value in shown.items() if isinstance(value, float)}
    return found | ({"nearest cluster": str(summary["nearest"])} if isinstance(summary.get("nearest"), int) else {})


def outlier_tiles(report: Report) -> list[OutlierTiles]:
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
