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
    curves = [thinned(curve) for curve in curves]
    axes = _Axes(curves)
    axis = f"{label}, logarithmic, over {over}" if axes.logarithmic else f"{label} over {over}"
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}" '
        'xmlns="http://www.w3.org/2000/svg">',
        *(_value_tick(tick, axes) for tick in axes.ticks),
        *(_step_tick(tick, axes) for tick in _ticks(0, axes.last_step) if tick <= axes.last_step),
        # the baseline comes last: dashed, it lets a curve below it be seen
        *(_polyline(curve, axes) for curve in reversed(curves)),
        f'<text class="tick" x="0" y="14">{escape(axis)}</text></svg>',
    ]
    return Markup("".join(parts))


def _value_tick(tick: float, axes: _Axes) -> str:
    y = axes.y(tick)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
    )


def _step_tick(tick: float, axes: _Axes) -> str:
    x = axes.x(tick)
    anchor = "end" if x > WIDTH - RIGHT - 20 else "middle"
    return f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{tick:g}</text>'


def _polyline(curve: Curve, axes: _Axes) -> str:
    steps_and_values = zip(curve.steps, curve.values, strict=True)
    points = " ".join(f"{axes.x(step):.1f},{axes.y(value):.1f}" for step, value in steps_and_values)
    return (
        f'<polyline class="curve c{curve.colour % N_COLOURS}" points="{points}"><title>{escape(curve.name)}'
        "</title></polyline>"
    )


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


def interval_mark(z: float, reach: float, half_width: float) -> Markup:
    """A difference and its interval as a dot on a line, in standard errors; the baseline is the stroke in the middle.

    z               difference over its standard error; positive is for the better and lies to the right
    reach           standard errors from the middle to the edge
    half_width      of the interval, in standard errors
    """
    width, height = 132, 18
    middle = width / 2

    def x(value: float) -> float:
        return min(max(middle + value / reach * (middle - 6), 2), width - 2)

    return Markup(
        f'<svg class="mark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true" '
        f'xmlns="http://www.w3.org/2000/svg"><line class="zero" x1="{middle}" x2="{middle}" y1="1" y2="{height - 1}"/>'
        f'<line class="whisker" x1="{x(z - half_width):.1f}" x2="{x(z + half_width):.1f}" y1="9" y2="9"/>'
        f'<circle class="dot" cx="{x(z):.1f}" cy="9" r="3.5"/></svg>'
    )
