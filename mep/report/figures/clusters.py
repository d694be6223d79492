"""Pictures of clusters and of outliers."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mep.artifacts import Clusters, Images, Inliers
from mep.report.data.runs import Report
from mep.report.figures.pictures import Picture, Pictures, spread
from mep.report.figures.strips import RealImages, SampleSet, Strip
from mep.report.text import rounded

CLUSTER_BUDGET, OUTLIER_BUDGET = 1_800_000, 500_000
"""Bytes of the pictures of a section."""
N_PER_CLUSTER, N_MADE_PER_CLUSTER, N_OUTLIERS = 12, 8, 12
MEASURED = re.compile(r"^(.*?) -?[0-9.]+(?:e[+-]?[0-9]+)? ([<>]=?) ")
"""What was measured within a reason such as `std_v 3.2 < 4`; the rule is the reason without it."""


@dataclass(frozen=True)
class ClusterCard:
    """One cluster.

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
    """What was removed, and the arms that share it.

    rules    (rule, images that break it); an image may break several
    """

    arms: list[str]
    n_removed: int
    n_images: int
    rules: list[tuple[str, int]]
    removed: list[tuple[Picture, str]]


def cluster_tiles(report: Report, sets: Sequence[SampleSet]) -> list[ClusterTiles]:
    """A card a cluster, largest first, for every distinct clustering, with what was drawn for the cluster."""
    clusterings = report.shared(Clusters)
    tiles = []
    for shared in clusterings:
        images, clusters = shared.arms[0].get(Images), shared.artifact
        if images is not None:
            made = [samples for samples in sets if samples.arms[0] in shared.labels]
            pictures = Pictures(CLUSTER_BUDGET / len(clusterings), 64, report.kept)
            cards = list(_cards(clusters, RealImages(images), made, pictures))
            tiles.append(ClusterTiles(shared.labels, cards, clusters.n_clusters, int((clusters.labels < 0).sum())))
    return tiles


def _cards(
    clusters: Clusters, real: RealImages, sets: Sequence[SampleSet], pictures: Pictures
) -> Iterator[ClusterCard]:
    summaries = {summary["cluster"]: summary for summary in clusters.summaries}
    for number in range(clusters.n_clusters):
        if pictures.full:
            return
        rows = np.flatnonzero(clusters.labels == number)
        if not len(rows):
            continue  # given clusters keep their numbers, which may leave some out
        nearest = rows[np.argsort(clusters.distances[rows], kind="stable")][:N_PER_CLUSTER]
        labels = Counter(real.label_of(clusters.ids[row]) for row in rows)
        made = []
        for samples in sets:
            if of_cluster := [row for row in samples.rows if row.get("cluster") == number]:
                made.append(samples.strip(of_cluster, N_MADE_PER_CLUSTER, pictures, spread_out=True))
        yield ClusterCard(
            number=number,
            size=len(rows),
            share=len(rows) / len(clusters.ids),
            mix=[(label, count / len(rows)) for label, count in labels.most_common()],
            nearest=[real.picture(clusters.ids[row], pictures) for row in nearest],
            made=made,
            facts=({"given as": clusters.names[number]} if number in clusters.names else {})
            | codes_of(clusters, number)
            | facts_of(summaries.get(number, {})),
        )


def codes_of(clusters: Clusters, number: int) -> dict[str, str]:
    """What {coarse} and {fine} say of a cluster, where it has such parts."""
    coarse, fine = map(str, clusters.codes.get(number, ("", "")))
    return {"coarse": coarse, "fine": fine} if coarse else {}


def facts_of(summary: Mapping[str, object]) -> dict[str, str]:
    """What a summary says beside size and labels: compactness, stability, the nearest cluster."""
    values = {name: summary.get(name) for name in ("compactness", "stability")}
    facts = {name: rounded(value) for name, value in values.items() if isinstance(value, float)}
    return facts | ({"nearest cluster": str(summary["nearest"])} if isinstance(summary.get("nearest"), int) else {})


def outlier_tiles(report: Report) -> list[OutlierTiles]:
    """What was removed and by which rule, for every distinct detection."""
    detections = report.shared(Inliers)
    tiles = []
    for shared in detections:
        inliers, images = shared.artifact, shared.arms[0].get(Images)
        removed = np.flatnonzero(~inliers.mask)
        rules = Counter(rule for row in removed for rule in rules_of(inliers.reasons[row]))
        pictures: list[tuple[Picture, str]] = []
        if images is not None:
            real, budget = RealImages(images), Pictures(OUTLIER_BUDGET / len(detections), kept=report.kept)
            shown = removed[spread(len(removed), N_OUTLIERS)]
            pictures = [(real.picture(inliers.ids[row], budget), inliers.reasons[row]) for row in shown]
        tiles.append(OutlierTiles(shared.labels, len(removed), len(inliers.ids), rules.most_common(), pictures))
    return tiles


def rules_of(reason: str) -> list[str]:
    """The rules that an image broke: `std_v 3.2 < 4, var_l 80 < 100` broke `std_v < 4` and `var_l < 100`."""
    return [MEASURED.sub(r"\1 \2 ", part) for part in reason.split(", ")] if reason else ["no reason given"]
