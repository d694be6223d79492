"""The sheet of clusters: what each looks like, and a field for its name; one file, which sends nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mep.artifacts import Clusters, Images, Prompts, TrainingSet
from mep.artifacts.captions import FoundName
from mep.errors import UsageError
from mep.report.data.artifacts import OpenArm
from mep.report.figures.clusters import codes_of, facts_of
from mep.report.figures.pictures import Picture, Pictures, affordable
from mep.report.figures.strips import RealImages
from mep.report.page.frame import environment, framed

BUDGET = 12_000_000
"""Bytes of the pictures of a sheet, which has to go by mail."""
TYPICAL = (12, 8, 6, 4, 2)
"""Typical images of a cluster that are tried, most first; half as many stand at its edge."""
N_TRIED = 8  # images whose bytes tell how many pictures the sheet can have


@dataclass(frozen=True)
class NamedCluster:
    """
    name        as somebody has called it already, empty where nobody has
    found       what a namer calls it; None where none was asked
    mix         labels and their shares, most frequent first
    facts       compactness, stability, nearest cluster
    typical     nearest to the centre
    edge        farthest from it
    """

    number: int
    size: int
    share: float
    name: str
    found: FoundName | None
    mix: list[tuple[str, float]]
    facts: dict[str, str]
    typical: list[Picture]
    edge: list[Picture]


def cluster_page(arms: Sequence[OpenArm], arm: OpenArm) -> str:
    """The sheet of the clusters of one of some arms; UsageError where their artifacts are gone."""
    images, clusters = arm.get(Images), arm.get(Clusters)
    if images is None or clusters is None:
        hint = f"carry the run to its end: mep resume {arm.run_id}"
        raise UsageError(f"arm {arm.name} of {arm.run_id} has no clusters to show", hint=hint)
    training_set = arm.get(TrainingSet)
    names = (training_set.cluster_names if training_set else {}) | arm.experiment.prompts.names_by_hand
    named = _named(clusters, images, names, found_names(arms, arm))
    return (
        environment()
        .get_template("clusters.html.j2")
        .render(run_id=arm.run_id, arm=arm.name, clusters=named, **framed("clusters"))
    )


def found_names(arms: Sequence[OpenArm], arm: OpenArm) -> dict[int, FoundName]:
    """Number -> what a namer calls a cluster of an arm; captions of another arm of the same training set may tell."""
    same = [one for one in arms if one.id_of(TrainingSet) == arm.id_of(TrainingSet)]
    for prompts in filter(None, (one.get(Prompts) for one in [arm, *same])):
        if prompts.found:
            return {found["cluster"]: found for found in prompts.found}
    return {}


def _named(
    clusters: Clusters, images: Images, names: dict[int, str], found: Mapping[int, FoundName]
) -> list[NamedCluster]:
    real = RealImages(images)
    numbers = [number for number in range(clusters.n_clusters) if (clusters.labels == number).any()]
    tried = [real.shot(clusters.ids[row]) for row in np.flatnonzero(clusters.labels >= 0)[:N_TRIED].tolist()]
    fit = affordable(tried, lambda n: len(numbers) * (n + n // 2), TYPICAL, BUDGET)
    pictures = Pictures(BUDGET, fit.side_px)
    summaries = {summary["cluster"]: summary for summary in clusters.summaries}
    named = []
    for number in numbers:
        rows = np.flatnonzero(clusters.labels == number)
        order = rows[np.argsort(clusters.distances[rows], kind="stable")]
        fitted = order[np.isfinite(clusters.distances[order])].tolist()  # validation images have no distance
        typical, rest = fitted[: fit.n], fitted[fit.n :]
        labels = [real.label_of(clusters.ids[row]) for row in rows.tolist()]
        mix = sorted(((label, labels.count(label) / len(labels)) for label in set(labels)), key=lambda one: -one[1])
        named.append(
            NamedCluster(
                number=number,
                size=len(rows),
                share=len(rows) / len(clusters.ids),
                name=names.get(number, ""),
                found=found.get(number),
                mix=mix if images.label_names else [],
                facts=codes_of(clusters, number) | facts_of(summaries.get(number, {})),
                typical=_shown(clusters, typical, real, pictures),
                edge=_shown(clusters, rest[::-1][: fit.n // 2], real, pictures),
            )
        )
    return named


def _shown(clusters: Clusters, rows: Sequence[int], real: RealImages, pictures: Pictures) -> list[Picture]:
    return [real.picture(clusters.ids[row], pictures) for row in rows]
