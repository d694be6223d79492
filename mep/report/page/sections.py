"""Sections of the page that some runs have data for: adherence, near copies, privacy, usefulness, training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mep.artifacts import Calibration, Clusters, Images, Model, Privacy, Scores, Utility
from mep.artifacts.vectors import TriedK
from mep.report.data.calibration import sentences
from mep.report.data.kept import Kept
from mep.report.data.privacy import Tried, allowing, is_asked_about, n_made, tried
from mep.report.data.runs import Report
from mep.report.figures import calibration as sight
from mep.report.figures.charts import Curve, CurveSet, loss_curves, validation_curves
from mep.report.figures.pictures import Picture, Pictures, Shot, spread
from mep.report.figures.strips import RealImages, SampleSet, has_first_training
from mep.report.text import clipped, listed, plain
from mep.store.database import Row

PAIR_BUDGET, TRAINING_BUDGET = 600_000, 1_200_000
"""Bytes of the pictures of near copies, and of samples over training."""
N_PAIRS, N_STEPS, N_LOOKS = 12, 8, 8
GAP_PX = 2
"""White columns between the pictures of a strip, as a training writes it."""


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
            budget = Pictures(PAIR_BUDGET / len(scored), kept=report.kept)
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


def attacked(report: Report) -> list[tuple[list[str], list[Tried]]]:
    """Labels of arms, and the attacks on their generator; without those of which no attack could be tried."""
    found = [(shared.labels, tried(shared.artifact.rows)) for shared in report.shared(Privacy)]
    among = n_made(attacks for labels, attacks in found if is_asked_about(labels))
    return [(labels, allowing(attacks, among)) for labels, attacks in found if attacks]


Looks = tuple[list[str], list[tuple[int, list[Picture]]]]
"""Labels of arms; at every step one picture a prompt."""


def samples_over_training(report: Report) -> list[Looks]:
    """What every model drew from the same noise while it was trained."""
    trainings = report.shared(Model)
    budget = TRAINING_BUDGET / max(len(trainings), 1)
    looks = [
        (shared.labels, looks_in(shared.artifact.folder / "looks", shared.labels, budget, report.kept))
        for shared in trainings
        if has_first_training(shared.labels)
    ]
    return [(labels, steps) for labels, steps in looks if steps]


def looks_in(
    folder: Path, labels: list[str], budget_bytes: float, kept: Kept | None = None
) -> list[tuple[int, list[Picture]]]:
    """The strips that a training has written so far, cut into their pictures: every step the same prompts."""
    paths, arms = sorted(folder.glob("*.png")), listed(labels)
    pictures = Pictures(budget_bytes, kept=kept)
    steps = []
    for number in dict.fromkeys(spread(len(paths), N_STEPS)):
        if pictures.full:
            break
        with Image.open(paths[number]) as image:
            strip = np.asarray(image.convert("RGB"))
        step = int(paths[number].stem)
        steps.append((step, list(_tiles(strip, plain(f"sample of {arms} after step {step}"), pictures))))
    return steps


def _tiles(strip: NDArray[np.uint8], alt: str, pictures: Pictures) -> Iterator[Picture]:
    """The square pictures of a strip, uint8 (h, w, 3); white columns lie between them."""
    side = strip.shape[0]
    for number, left in enumerate(range(0, strip.shape[1] - side + 1, side + GAP_PX)[:N_LOOKS], 1):
        tile = strip[:, left : left + side]
        yield pictures.of(Shot(partial(np.asarray, tile)), clipped(f"{alt}, prompt {number}", 200))


def charts(report: Report) -> list[CurveSet]:
    """Curves of every kind of loss that was written down."""
    return [*loss_curves(report), *validation_curves(report)]


@dataclass(frozen=True)
class Usefulness:
    """What a classifier learns from the images of every arm.

    statements  arms -> the comparison of synthetic with real training images
    """

    title: str
    chart: CurveSet | None
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
        return Usefulness("", None, statements) if statements else None
    title = probes[0].artifact.rows[0].protocol.extractor or ""
    chart = CurveSet("Usefulness", "AUROC", curves, over="real training images", id="usefulness")
    return Usefulness(title, chart, statements)


def _curve(name: str, probes: Sequence[Utility], subject: str, colour: int) -> Curve:
    """AUROC over real images trained on; of several mixtures with as many real images the highest."""
    highest: dict[float, tuple[float, float]] = {}
    for row in (row for probe in probes for row in probe.rows):
        auroc, error = row.estimate.value, row.estimate.se
        if row.metric == "auroc" and row.subject == subject and auroc is not None and "label=" not in row.group:
            n_real = float(row.training.n_train_real if row.training else 0)
            highest[n_real] = max((auroc, error or 0.0), highest.get(n_real, (auroc, error or 0.0)))
    xs = sorted(highest)
    values, errors = np.array([highest[x] for x in xs]).reshape(-1, 2).T
    return Curve(name, np.array(xs), values, colour, errors)


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
