"""Sections of the page that some runs have data for: adherence, near copies, usefulness, training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mep.artifacts import Assignment, Calibration, Clusters, Images, Model, Scores, Utility
from mep.artifacts.vectors import TriedK
from mep.report.data.calibration import sentences
from mep.report.data.runs import Report
from mep.report.figures import calibration as sight
from mep.report.figures.charts import Curve, CurveSet, line_chart, loss_curves, validation_curves
from mep.report.figures.pictures import Picture, Pictures, RealImages, SampleSet, data_uri, spread
from mep.report.text import clipped, listed, plain
from mep.store.database import Row

PAIR_BUDGET, TRAINING_BUDGET = 600_000, 1_200_000
"""Bytes of the pictures of near copies, and of samples over training."""
N_PAIRS, N_STEPS = 12, 8
LARGEST_MATRIX = 40
"""Clusters of a confusion matrix that is drawn; of more only the shares are shown."""


@dataclass(frozen=True)
class Confusion:
    """What images show against what their captions asked for.

    rows            name of what was asked for, shares of what was found, number of images
    share           of samples that are found where they belong
    real_share      the same of real held-out images; None where there are none
    """

    arms: list[str]
    kind: str
    names: list[str]
    rows: list[tuple[str, list[float], int]]
    share: float
    real_share: float | None
    n: int


def confusions(report: Report) -> list[Confusion]:
    """Cluster and label of the samples of every arm, asked for and found."""
    matrices = []
    for shared in report.shared(Assignment):
        assignment = shared.artifact
        clusters = [str(number) for number in range(assignment.n_clusters)]
        for kind, names, columns in (("cluster", clusters, [0, 1]), ("label", assignment.label_names, [2, 3])):
            pairs, real = (assignment.parts[part][:, columns] for part in ("samples", "heldout"))
            pairs, real = pairs[pairs[:, 0] >= 0], real[real[:, 0] >= 0]
            if len(pairs):
                matrices.append(_confusion(shared.labels, kind, names, pairs, real))
    return matrices


def _confusion(
    arms: list[str], kind: str, names: list[str], pairs: NDArray[np.integer], real: NDArray[np.integer]
) -> Confusion:
    """Both arrays (n, 2): what was asked for, and what was found, -1 for nothing."""
    asked, shown = pairs.T
    counts = np.zeros((len(names), len(names) + 1))
    np.add.at(counts, (asked, np.where(shown < 0, len(names), shown)), 1)
    rows = [(names[n], (row / row.sum()).tolist(), int(row.sum())) for n, row in enumerate(counts) if row.sum()]
    return Confusion(
        arms=arms,
        kind=kind,
        names=[*names, *(["none"] if counts[:, -1].any() else [])],
        rows=rows if len(names) <= LARGEST_MATRIX else [],
        share=float((asked == shown).mean()),
        real_share=float((real[:, 0] == real[:, 1]).mean()) if len(real) else None,
        n=len(pairs),
    )


NearCopies = tuple[list[str], str, list[tuple[Picture, Picture, float, float]]]
"""Labels of arms, extractor, and pairs of a sample and a training image with their distance and its ratio to the
second nearest."""


def near_copies(report: Report, sets: list[SampleSet]) -> list[NearCopies]:
    """Samples beside the training image that comes nearest, nearest first, in the first extractor with some."""
    scored = [shared for shared in report.shared(Scores) if any(shared.artifact.closest.values())]
    copies = []
    for shared in scored:
        extractor, closest = next((name, rows) for name, rows in shared.artifact.closest.items() if rows)
        samples = next((samples for samples in sets if samples.arms[0] in shared.labels), None)
        images = samples.arm.get(Images) if samples else None
        if samples and images is not None:
            budget = Pictures(PAIR_BUDGET / len(scored), 96)
            if pairs := list(_pairs(closest[:N_PAIRS], samples, RealImages(images), budget)):
                copies.append((shared.labels, extractor, pairs))
    return copies


def _pairs(
    closest: Sequence[Row], samples: SampleSet, real: RealImages, pictures: Pictures
) -> Iterator[tuple[Picture, Picture, float, float]]:
    row_of = {row["file_name"]: row for row in samples.rows}
    for near in closest:
        if near["file_name"] in row_of and near["train"] in real.row_of:
            sample = samples.picture(row_of[near["file_name"]], pictures)
            yield sample, real.picture(near["train"], pictures), float(near["distance"]), float(near["ratio"])


def samples_over_training(report: Report) -> list[tuple[list[str], list[tuple[int, Picture]]]]:
    """Labels, steps and pictures: what every model drew from the same noise while it was trained."""
    trainings = report.shared(Model)
    strips = (
        (
            shared.labels,
            list(_strips(shared.artifact.folder / "looks", listed(shared.labels), TRAINING_BUDGET / len(trainings))),
        )
        for shared in trainings
    )
    return [(labels, pictures) for labels, pictures in strips if pictures]


def _strips(folder: Path, arms: str, budget_bytes: float) -> Iterator[tuple[int, Picture]]:
    paths, n_bytes = sorted(folder.glob("*.png")), 0
    for number in dict.fromkeys(spread(len(paths), N_STEPS)):
        if n_bytes > budget_bytes:
            return
        with Image.open(paths[number]) as image:
            wide = image.convert("RGB")
        height = min(wide.height, 96)
        small = wide.resize((max(round(wide.width * height / wide.height), 1), height), Image.Resampling.LANCZOS)
        step, uri = int(paths[number].stem), data_uri(np.asarray(small))
        n_bytes += len(uri)
        yield step, Picture(clipped(plain(f"samples of {arms} after step {step}"), 200), uri, shown_px=height)


def charts(report: Report) -> list[tuple[CurveSet, Markup]]:
    """Curves and their drawing, for every kind of loss that was written down."""
    losses = [(curve_set, f"{curve_set.title} loss") for curve_set in loss_curves(report)]
    validation = [(curve_set, "validation loss") for curve_set in validation_curves(report)]
    return [
        (curve_set, line_chart(curve_set.curves, label=curve_set.label, subject=subject))
        for curve_set, subject in [*losses, *validation]
    ]


@dataclass(frozen=True)
class Usefulness:
    """What a classifier learns from the images of every arm.

    statements  arms -> the comparison of synthetic with real training images
    """

    title: str
    svg: Markup
    curves: list[Curve]
    statements: list[tuple[list[str], str]]


def usefulness(report: Report) -> Usefulness | None:
    """AUROC on held-out images over the number of real images trained on, with and without synthetic ones."""
    probes = [
        shared
        for shared in report.shared(Utility)
        if any(row.estimate.value is not None for row in shared.artifact.rows)
    ]
    lines = [
        _curve(f"{listed(shared.labels)} beside real", [shared.artifact], "samples", report.arms.index(shared.arms[0]))
        for shared in probes
    ]
    lines.append(_curve("real alone", [shared.artifact for shared in probes], "train", 7))
    curves = [curve for curve in lines if len(curve.steps) > 1]
    statements = [
        (shared.labels, row.non_inferiority.statement)
        for shared in probes
        for row in shared.artifact.rows
        if row.non_inferiority
    ]
    if not curves:
        return Usefulness("", Markup(""), [], statements) if statements else None
    svg = line_chart(curves, label="AUROC", over="real training images", subject="AUROC")
    return Usefulness(probes[0].artifact.rows[0].protocol.extractor or "", svg, curves, statements)


def _curve(name: str, probes: Sequence[Utility], subject: str, colour: int) -> Curve:
    """AUROC over real images trained on; of several mixtures with as many real images the highest."""
    highest: dict[float, float] = {}
    for row in (row for probe in probes for row in probe.rows):
        auroc = row.estimate.value
        if row.metric == "auroc" and row.subject == subject and auroc is not None:
            n_real = float(row.training.n_train_real if row.training else 0)
            highest[n_real] = max(auroc, highest.get(n_real, auroc))
    xs = sorted(highest)
    return Curve(name, np.array(xs), np.array([highest[x] for x in xs]), colour)


def choices_of_k(report: Report) -> list[tuple[list[str], str, list[TriedK]]]:
    """Arms, the index and its values, where the number of clusters was chosen by one."""
    return [
        (shared.labels, str(shared.artifact.curve[0]["index"]), shared.artifact.curve)
        for shared in report.shared(Clusters)
        if shared.artifact.curve
    ]


@dataclass(frozen=True)
class Instrument:
    """What the extractors of some arms see of harm to real images.

    metrics     with the numbers of their colours
    panels      extractor -> a chart for each kind of harm
    """

    arms: list[str]
    n: int
    sentences: list[str]
    metrics: list[tuple[str, int]]
    panels: dict[str, list[Markup]]
    left_out: list[str]


def instruments(report: Report) -> list[Instrument]:
    """Every calibration that has measured something; one that has not says so in the notes."""
    found = []
    for shared in report.shared(Calibration):
        calibration = shared.artifact
        extractors = dict.fromkeys(effect.extractor for effect in calibration.effects)
        panels = {extractor: sight.panels(calibration, extractor) for extractor in extractors}
        metrics = sight.metrics_of(calibration)
        if panels:
            about = sentences(calibration)
            found.append(Instrument(shared.labels, calibration.n, about, metrics, panels, calibration.left_out))
    return found
