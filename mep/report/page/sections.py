"""Sections of the page that some runs have data for: adherence, near copies, usefulness, training."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mep.artifacts import Assignment, Clusters, Images, Model, Scores, Utility
from mep.artifacts.vectors import TriedK
from mep.report.data.runs import Report, Shared
from mep.report.figures.charts import line_chart
from mep.report.figures.curves import Curve, CurveSet, loss_curves, validation_curves
from mep.report.figures.pictures import Picture, Pictures, data_uri
from mep.report.figures.strips import RealImages, SampleSet
from mep.report.text import clipped, listed, plain

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
    result = []
    for shared in report.shared(Assignment):
        assignment = shared.artifact
        samples, real = assignment.parts["samples"], assignment.parts["heldout"]
        clusters = [str(number) for number in range(assignment.n_clusters)]
        for kind, names, columns in (("cluster", clusters, [0, 1]), ("label", assignment.label_names, [2, 3])):
            asked, asked_of_real = (part[part[:, columns[0]] >= 0][:, columns] for part in (samples, real))
            if len(asked):
                result.append(_confusion(shared.labels, kind, names, asked, asked_of_real))
    return result


def _confusion(
    arms: list[str], kind: str, names: list[str], asked: NDArray[np.integer], asked_of_real: NDArray[np.integer]
) -> Confusion:
    """Both arrays (n, 2): what was asked for, and what was found, -1 for nothing."""
    wanted, shown = asked.T
    counts = np.zeros((len(names), len(names) + 1))
    np.add.at(counts, (wanted, np.where(shown < 0, len(names), shown)), 1)
    rows = [(names[n], (row / row.sum()).tolist(), int(row.sum())) for n, row in enumerate(counts) if row.sum()]
    return Confusion(
        arms=arms,
        kind=kind,
        names=[*names, *(["none"] if counts[:, -1].any() else [])],
        rows=rows if len(names) <= LARGEST_MATRIX else [],
        share=float((wanted == shown).mean()),
        real_share=float((asked_of_real[:, 0] == asked_of_real[:, 1]).mean()) if len(asked_of_real) else None,
        n=len(asked),
    )


@dataclass(frozen=True)
class NearCopies:
    """Samples beside the training image that comes nearest, the nearest pair first: distance, ratio to the second."""

    arms: list[str]
    extractor: str
    pairs: list[tuple[Picture, Picture, float, float]]


def near_copies(report: Report, sets: list[SampleSet]) -> list[NearCopies]:
    """The closest pairs of every arm in the first extractor that has some."""
    scored = [shared for shared in report.shared(Scores) if any(shared.artifact.closest.values())]
    copies = (_near_copies(shared, sets, PAIR_BUDGET / len(scored)) for shared in scored)
    return [near for near in copies if near is not None and near.pairs]


def _near_copies(shared: Shared[Scores], sets: list[SampleSet], budget_bytes: float) -> NearCopies | None:
    extractor, closest = next((name, rows) for name, rows in shared.artifact.closest.items() if rows)
    samples = next((samples for samples in sets if samples.arms[0] in shared.labels), None)
    images = samples.arm.get(Images) if samples else None
    if samples is None or images is None:
        return None
    pictures, real = Pictures(budget_bytes, 96), RealImages(images)
    row_of = {row["file_name"]: row for row in samples.rows}
    pairs = [
        (
            samples.picture(row_of[row["file_name"]], pictures),
            real.picture(row["train"], pictures),
            float(row["distance"]),
            float(row["ratio"]),
        )
        for row in closest[:N_PAIRS]
        if row["file_name"] in row_of and row["train"] in real.row_of
    ]
    return NearCopies(shared.labels, extractor, pairs)


@dataclass(frozen=True)
class SamplesOverTraining:
    """Samples of a model from the same noise after more and more steps: (step, picture)."""

    arms: list[str]
    strips: list[tuple[int, Picture]]


def samples_over_training(report: Report) -> list[SamplesOverTraining]:
    """What every model drew while it was trained."""
    trainings = report.shared(Model)
    result = []
    for shared in trainings:
        budget_bytes = TRAINING_BUDGET / len(trainings)
        strips = list(_strips(shared.artifact.folder / "looks", listed(shared.labels), budget_bytes))
        if strips:
            result.append(SamplesOverTraining(shared.labels, strips))
    return result


def _strips(folder: Path, arms: str, budget_bytes: float) -> Iterator[tuple[int, Picture]]:
    paths, n_bytes = sorted(folder.glob("*.png")), 0
    numbers = sorted({round(number) for number in np.linspace(0, len(paths) - 1, N_STEPS)}) if paths else []
    for path in (paths[number] for number in numbers):
        if n_bytes > budget_bytes:
            return
        step = int(path.stem)
        picture = _strip(path.read_bytes(), f"samples of {arms} after step {step}")
        n_bytes += len(picture.uri)
        yield step, picture


def _strip(data: bytes, alt: str) -> Picture:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        wide = image.convert("RGB")
    height = min(wide.height, 96)
    small = wide.resize((max(round(wide.width * height / wide.height), 1), height), Image.Resampling.LANCZOS)
    return Picture(clipped(plain(alt), 200), data_uri(small), shown_px=height)


@dataclass(frozen=True)
class Chart:
    """Curves, and the drawing of them."""

    curve_set: CurveSet
    svg: Markup


def charts(report: Report) -> list[Chart]:
    """A chart for every kind of loss that was written down."""
    losses = [(curve_set, f"{curve_set.title} loss") for curve_set in loss_curves(report)]
    validation = [(curve_set, "validation loss") for curve_set in validation_curves(report)]
    return [_chart(curve_set, subject) for curve_set, subject in [*losses, *validation]]


def _chart(curve_set: CurveSet, subject: str) -> Chart:
    description = f"{subject} of {listed([curve.name for curve in curve_set.curves])}"
    return Chart(curve_set, line_chart(curve_set.curves, label=curve_set.label, description=description))


@dataclass(frozen=True)
class Usefulness:
    """What a classifier learns from the images of every arm.

    statements  arms -> the comparison of synthetic with real training images
    """

    title: str
    svg: Markup
    curves: list[Curve]
    statements: list[tuple[list[str], str]]


def usefulness(report: Report) -> list[Usefulness]:
    """AUROC on held-out images over the number of real images trained on, with and without synthetic ones."""
    shared = [
        probed
        for probed in report.shared(Utility)
        if any(row.estimate.value is not None for row in probed.artifact.rows)
    ]
    curves = [
        curve
        for probed in shared
        if (
            curve := _curve(
                listed(probed.labels) + " beside real",
                _auroc(probed.artifact, "samples"),
                report.arms.index(probed.first),
            )
        )
    ]
    real = _curve("real alone", [point for probed in shared for point in _auroc(probed.artifact, "train")], 7)
    curves += [real] if real else []
    statements = [
        (probed.labels, row.non_inferiority.statement)
        for probed in shared
        for row in probed.artifact.rows
        if row.non_inferiority
    ]
    if not curves:
        return [Usefulness("", Markup(""), [], statements)] if statements else []
    description = f"AUROC of {listed([curve.name for curve in curves])}"
    svg = line_chart(curves, label="AUROC", over="real training images", description=description)
    return [Usefulness(shared[0].artifact.rows[0].protocol.extractor or "", svg, curves, statements)]


def _auroc(utility: Utility, subject: str) -> Iterator[tuple[float, float]]:
    """(real images trained on, AUROC) of every mixture of real and synthetic images."""
    for row in utility.rows:
        if row.metric == "auroc" and row.subject == subject and row.estimate.value is not None:
            yield float(row.training.n_train_real if row.training else 0), row.estimate.value


def _curve(name: str, points: Iterable[tuple[float, float]], colour: int) -> Curve | None:
    """Of several points with as many real images the highest; None of fewer than two."""
    highest: dict[float, float] = {}
    for x, y in points:
        highest[x] = max(y, highest.get(x, y))
    if len(highest) < 2:
        return None
    xs = sorted(highest)
    return Curve(name, np.array(xs), np.array([highest[x] for x in xs]), colour)


def choices_of_k(report: Report) -> list[tuple[list[str], str, list[TriedK]]]:
    """Arms, the index and its values, where the number of clusters was chosen by one."""
    return [
        (shared.labels, str(shared.artifact.curve[0]["index"]), shared.artifact.curve)
        for shared in report.shared(Clusters)
        if shared.artifact.curve
    ]
