"""Curves, and charts of them as inline SVG: a few kB each, in colours that follow the reader's dark mode."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Model
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.text import listed
from mep.store.database import Row

N_COLOURS = 8
"""Colours and dash patterns of the style sheet, `.c0` to `.c7`; the ninth arm begins again."""
MOST_POINTS = 300
"""Points a curve is drawn with: more would be narrower than a pixel."""
LOG_FROM = 8
"""Curves whose largest value is this many times the smallest get a logarithmic axis."""
WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 34, 34


@dataclass(frozen=True)
class Curve:
    """A named series over steps; `colour` counts from 0."""

    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    colour: int


@dataclass(frozen=True)
class CurveSet:
    """Curves that belong into one chart.

    windows     steps that the running means of the curves cover; empty where the curves are as they were written
    """

    title: str
    label: str
    curves: list[Curve]
    windows: list[int]


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
            sets.append(CurveSet(title, "loss", curves, sorted({window_for(len(rows)) for _, rows in logs})))
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
    return [CurveSet("UNet on validation images", "loss on validation images", curves, [])] if curves else []


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
    return Curve(curve.name, curve.steps[kept], curve.values[kept], curve.colour)


class _Axes:
    """Positions in the chart of steps and values, and the numbers written beside them."""

    def __init__(self, curves: Sequence[Curve]):
        self.curves = curves
        values = np.concatenate([curve.values for curve in curves])
        low, high = float(values.min()), float(values.max())
        self.last_step = max(float(curve.steps[-1]) + 1 for curve in curves)
        self.logarithmic = low > 0 and high / low > LOG_FROM
        self.ticks = _log_ticks(low, high) if self.logarithmic else _ticks(low, high)
        self.scale = math.log if self.logarithmic else float
        self.low, self.high = self.scale(min(low, self.ticks[0])), self.scale(max(high, self.ticks[-1]))

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.last_step

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - self.scale(value)) / ((self.high - self.low) or 1)


def line_chart(curves: Sequence[Curve], *, label: str, subject: str, over: str = "steps") -> Markup:
    """Curves over the steps of a training, or something else; the axis is logarithmic where values differ much."""
    description = f"{subject} of {listed([curve.name for curve in curves])}"
    axes = _Axes([thinned(curve) for curve in curves])
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in axes.ticks:
        y = axes.y(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for tick in _ticks(0, axes.last_step):
        x = axes.x(tick)
        anchor = "end" if x > WIDTH - RIGHT - 20 else "middle"
        if tick <= axes.last_step:
            parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{tick:g}</text>')
    for curve in reversed(axes.curves):  # the baseline comes last: dashed, it lets a curve below it be seen
        positions = zip(map(axes.x, curve.steps), map(axes.y, curve.values), strict=True)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in positions)
        title = f"<title>{escape(curve.name)}</title>"
        parts.append(f'<polyline class="curve c{curve.colour % N_COLOURS}" points="{points}">{title}</polyline>')
    axis = f"{label}, logarithmic, over {over}" if axes.logarithmic else f"{label} over {over}"
    return Markup("".join([*parts, f'<text class="tick" x="0" y="14">{escape(axis)}</text></svg>']))


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from at most `low` to at least `high`."""
    span = (high - low) or abs(high) or 1.0
    unit = 10 ** math.floor(math.log10(span / 4))
    step = next(unit * times for times in (1, 2, 5, 10) if span / (unit * times) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, from at most `low` to at least `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    all_ticks = [times * 10.0**power for power in powers for times in (1, 2, 5)]
    first = max(number for number, tick in enumerate(all_ticks) if tick <= low)
    last = min((number for number, tick in enumerate(all_ticks) if tick >= high), default=len(all_ticks) - 1)
    return all_ticks[first : last + 1]
