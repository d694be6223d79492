"""Charts of the page as inline SVG: a few kB each, in the page's own colours, which follow the reader's dark mode.

Figures for papers are drawn by matplotlib, whose SVG is ten times as large and has its colours fixed.
"""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from mep.report.figures.curves import Curve
from mep.report.text import listed

N_COLOURS = 8
"""Colours and dash patterns of the style sheet, `.c0` to `.c7`; the ninth arm begins again."""

MOST_POINTS = 300
"""Points a curve is drawn with: more would be narrower than a pixel."""

LOG_FROM = 8
"""Curves whose largest value is this many times the smallest get a logarithmic axis."""

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 34, 34


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
