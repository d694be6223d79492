"""Curves as data: what the page and the figures for print draw."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Model
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.text import listed
from mep.store.database import Row

MOST_POINTS = 300
"""Points a curve is drawn with: more would be narrower than a pixel."""
LOG_FROM = 8
"""Curves whose largest value is this many times the smallest get a logarithmic axis."""


@dataclass(frozen=True)
class Curve:
    """A named series over steps; `colour` counts from 0.

    errors      standard error of every value; None where there is none
    """

    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    colour: int
    errors: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class CurveSet:
    """Curves that belong into one chart.

    label, over what the axes are
    windows     steps that the running means of the curves cover; empty where the curves are as they were written
    id          its name on the page, and of the files that are saved from it
    """

    title: str
    label: str
    curves: list[Curve]
    windows: list[int] = field(default_factory=list)
    over: str = "steps"
    id: str = ""

    @property
    def logarithmic(self) -> bool:
        values = np.concatenate([curve.values for curve in self.curves])
        return bool(values.min() > 0 and values.max() / values.min() > LOG_FROM)

    def as_data(self) -> Row:
        """For the script of the page: every curve with at most MOST_POINTS points."""
        return {
            "id": self.id,
            "title": self.title,
            "x": self.over,
            "y": self.label,
            "log": self.logarithmic,
            "curves": [_as_data(thinned(curve)) for curve in self.curves],
        }


def _as_data(curve: Curve) -> Row:
    data = {"name": curve.name, "style": curve.colour, "x": curve.steps.tolist(), "y": _short(curve.values)}
    return data if curve.errors is None else data | {"se": _short(curve.errors)}


def _short(values: NDArray[np.float64]) -> list[float]:
    """With six digits: more are none that a chart shows."""
    return [float(f"{value:.6g}") for value in values]


def loss_curves(report: Report) -> list[CurveSet]:
    """Running means of the losses, of the autoencoder where a run trained it and of the denoiser of every arm."""
    kinds = {
        "Autoencoder": [(shared.arms, shared.artifact.losses) for shared in report.shared(BaseModel)],
        "UNet": [(shared.arms, shared.artifact.losses) for shared in report.shared(Model)],
    }
    sets = []
    for title, trainings in kinds.items():
        logs = [(arms, rows) for arms, rows in trainings if rows]
        curves = [smoothed(_name(arms, report), *_columns(rows), report.arms.index(arms[0])) for arms, rows in logs]
        if curves:
            windows = sorted({window_for(len(rows)) for _, rows in logs})
            sets.append(CurveSet(title, "loss", curves, windows, id=f"loss-{title.lower()}"))
    return sets


def _name(arms: Sequence[OpenArm], report: Report) -> str:
    everyone = len(arms) == len(report.arms) > 1
    return "all arms" if everyone else listed([arm.label for arm in arms])


def validation_curves(report: Report) -> list[CurveSet]:
    """The denoising loss on validation images, which arms of the same base can be compared by."""
    curves = [
        Curve(listed(shared.labels), *_columns(rows), report.arms.index(shared.arms[0]))
        for shared in report.shared(Model)
        if len(rows := shared.artifact.validation) > 1
    ]
    title, label = "UNet on validation images", "loss on validation images"
    return [CurveSet(title, label, curves, id="loss-validation")] if curves else []


def _columns(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    steps, losses = np.array([(row["step"], row["loss"]) for row in rows], dtype=np.float64).T
    return steps, losses


def smoothed(name: str, steps: NDArray[np.float64], losses: NDArray[np.float64], colour: int) -> Curve:
    """A curve of running means, each at the last step that it covers."""
    window = window_for(len(losses))
    return Curve(name, steps[window - 1 :], running_mean(losses, window), colour)


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """float64 (n - window + 1,): means of `window` values in a row."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[window:] - sums[:-window]) / window, dtype=np.float64)


def window_for(n: int) -> int:
    """Steps that a running mean covers: a twenty-fifth of the training, at most 200."""
    return max(1, min(200, n // 25))


def thinned(curve: Curve) -> Curve:
    """At most so many points as can be told apart, both ends among them."""
    kept = np.unique(np.linspace(0, len(curve.steps) - 1, MOST_POINTS).round().astype(int))
    errors = None if curve.errors is None else curve.errors[kept]
    return Curve(curve.name, curve.steps[kept], curve.values[kept], curve.colour, errors)
