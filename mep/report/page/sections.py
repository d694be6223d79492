"""Sections of the page that some runs have data for: adherence, near copies, usefulness, samples over training."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from mep.artifacts import Assignment, Clusters, Images, Model, Scores, TriedK, Utility
from mep.report.data.runs import Report
from mep.report.figures.charts import Curve, line_chart
from mep.report.figures.gallery import Drawn, RealImages
from mep.report.figures.pictures import Picture, Pictures, data_uri
from mep.report.text import clipped, listed, plain

PAIR_BUDGET, LOOK_BUDGET = 600_000, 1_200_000
"""Bytes of the pictures of near copies, and of samples over training."""
N_PAIRS, N_LOOKS = 12, 8
LARGEST_MATRIX = 40
"""Clusters of a confusion matrix that is drawn; of more, the shares alone are told."""


@dataclass(frozen=True)
class Confusion:
    """What images show against what their captions asked for.

    rows        name of what was wanted, shares of what was found, number of images
    ceiling     share of real held-out images that are found where they belong
    """

    arms: list[str]
    kind: str
    names: list[str]
    rows: list[tuple[str, list[float], int]]
    share: float
    ceiling: float | None
    n: int


def confusions(report: Report) -> list[Confusion]:
    """Cluster and label of the samples of every arm, asked for and found."""
    found = []
    for arms, assignment in report.sharing(Assignment):
        clusters = [str(number) for number in range(assignment.n_clusters)]
        for kind, names, wanted, place in (("cluster", clusters, 0, 1), ("label", assignment.label_names, 2, 3)):
            one = _confusion(assignment, arms, kind, names, wanted, place)
            if one is not None:
                found.append(one)
    return found


def _confusion(
    assignment: Assignment, arms: list[str], kind: str, names: list[str], wanted: int, place: int
) -> Confusion | None:
    part = assignment.parts["samples"]
    asked = part[part[:, wanted] >= 0]
    if not len(asked):
        return None
    counts = np.zeros((len(names), len(names) + 1))
    np.add.at(counts, (asked[:, wanted], np.where(asked[:, place] < 0, len(names), asked[:, place])), 1)
    real = assignment.parts["heldout"]
    real = real[real[:, wanted] >= 0]
    rows = [
        (names[number], (row / row.sum()).tolist(), int(row.sum())) for number, row in enumerate(counts) if row.sum()
    ]
    return Confusion(
        arms=arms,
        kind=kind,
        names=[*names, *(["none"] if counts[:, -1].any() else [])],
        rows=rows if len(names) <= LARGEST_MATRIX else [],
        share=float((asked[:, wanted] == asked[:, place]).mean()),
        ceiling=float((real[:, wanted] == real[:, place]).mean()) if len(real) else None,
        n=len(asked),
    )


@dataclass(frozen=True)
class Pairs:
    """Samples beside the training image that comes nearest, the nearest pair first."""

    arms: list[str]
    extractor: str
    pairs: list[tuple[Picture, Picture, float, float]]


def near_copies(report: Report, sets: list[Drawn]) -> list[Pairs]:
    """The closest pairs of every arm in the first extractor that has some."""
    by_arm = {one.arms[0]: one for one in sets}
    shared = [(arms, scores) for arms, scores in report.sharing(Scores) if any(scores.closest.values())]
    found = []
    for arms, scores in shared:
        extractor, closest = next((name, rows) for name, rows in scores.closest.items() if rows)
        own = next((by_arm[arm] for arm in arms if arm in by_arm), None)
        images = own.arm.get(Images) if own else None
        if own is None or images is None:
            continue
        pictures, real = Pictures(PAIR_BUDGET / len(shared), 96), RealImages(images)
        samples = {row["file_name"]: row for row in own.rows}
        pairs = [
            (
                own.picture(samples[row["file_name"]], pictures),
                real.picture(row["train"], pictures),
                float(row["distance"]),
                float(row["ratio"]),
            )
            for row in closest[:N_PAIRS]
            if row["file_name"] in samples and row["train"] in real.row_of
        ]
        if pairs:
            found.append(Pairs(arms, extractor, pairs))
    return found


@dataclass(frozen=True)
class Looks:
    """Samples of one model from the same noise after more and more steps: (step, picture), and what the columns are."""

    arms: list[str]
    strips: list[tuple[int, Picture]]


def looks(report: Report) -> list[Looks]:
    """What every model drew while it was trained."""
    found = []
    shared = report.sharing(Model)
    left = LOOK_BUDGET / max(len(shared), 1)
    for arms, model in shared:
        paths = sorted((model.folder / "looks").glob("*.png"))
        chosen = sorted({round(place) for place in np.linspace(0, len(paths) - 1, N_LOOKS)}) if paths else []
        strips, used = [], 0
        for place in chosen:
            if used > left:
                break
            picture = _strip(
                paths[place].read_bytes(), f"samples of {listed(arms)} after step {int(paths[place].stem)}"
            )
            used += len(picture.uri)
            strips.append((int(paths[place].stem), picture))
        if strips:
            found.append(Looks(arms, strips))
    return found


def _strip(data: bytes, alt: str) -> Picture:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        wide = image.convert("RGB")
    height = min(wide.height, 96)
    small = wide.resize((max(round(wide.width * height / wide.height), 1), height), Image.Resampling.LANCZOS)
    return Picture(clipped(plain(alt), 200), data_uri(small), shown_px=height)


@dataclass(frozen=True)
class Usefulness:
    """What a classifier learns from the images of every arm.

    statements  arm -> the comparison of synthetic with real training images
    """

    title: str
    svg: Markup
    curves: list[Curve]
    statements: list[tuple[list[str], str]]


def usefulness(report: Report) -> list[Usefulness]:
    """AUROC on held-out images over the number of real images trained on, with and without synthetic ones."""
    places = {arm.name: place for place, arm in enumerate(report.arms)}
    shared = [
        (arms, one) for arms, one in report.sharing(Utility) if any(row.estimate.value is not None for row in one.rows)
    ]
    if not shared:
        return []
    curves = [
        curve
        for arms, one in shared
        if (curve := _curve(listed(arms) + " beside real", _auroc(one, "samples"), places[arms[0]]))
    ]
    real = _curve("real alone", [point for _, one in shared for point in _auroc(one, "train")], 7)
    curves += [real] if real else []
    statements = [
        (arms, row.non_inferiority.statement) for arms, one in shared for row in one.rows if row.non_inferiority
    ]
    if not curves:
        return [Usefulness("", Markup(""), [], statements)] if statements else []
    about = f"AUROC of {listed([curve.name for curve in curves])}"
    svg = line_chart(curves, label="AUROC", over="real training images", description=about)
    return [Usefulness(shared[0][1].rows[0].protocol.extractor or "", svg, curves, statements)]


def _auroc(utility: Utility, subject: str) -> Iterator[tuple[float, float]]:
    """(real images trained on, AUROC); of several mixtures with as many real images the largest."""
    for row in utility.rows:
        if row.metric == "auroc" and row.subject == subject and row.estimate.value is not None:
            yield float(row.training.n_train_real if row.training else 0), row.estimate.value


def _curve(name: str, points: Any, colour: int) -> Curve | None:
    at: dict[float, float] = {}
    for x, y in points:
        at[x] = max(y, at.get(x, y))
    if len(at) < 2:
        return None
    xs = sorted(at)
    return Curve(name, np.array(xs), np.array([at[x] for x in xs]), colour)


def choices_of_k(report: Report) -> list[tuple[list[str], str, list[TriedK]]]:
    """Arms, the index and its values, where the number of clusters was chosen by one."""
    return [
        (arms, str(clusters.curve[0]["index"]), clusters.curve)
        for arms, clusters in report.sharing(Clusters)
        if clusters.curve
    ]
