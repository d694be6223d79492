"""Figures as inline SVG: no library, no script, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """float64 (n - window + 1,): means of `window` values in a row."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[window:] - sums[:-window]) / window


def window_for(n: int) -> int:
    """Steps that a running mean covers: a twenty-fifth of the training, at most 200."""
    return max(1, min(200, n // 25))


def smoothed(name: str, losses: Sequence[tuple[float, float]], colour: int) -> Curve:
    """A curve of running means, each drawn at the last step that it covers.

    losses      (step, value) pairs in order
    """
    steps, values = (np.array(column, dtype=np.float64) for column in zip(*losses, strict=True))
    window = window_for(len(values))
    return _thinned(Curve(name, steps[window - 1 :], running_mean(values, window), colour))


def _thinned(curve: Curve) -> Curve:
    kept = np.unique(np.linspace(0, len(curve.steps) - 1, MOST_POINTS).round().astype(int))
    return Curve(curve.name, curve.steps[kept], curve.values[kept], curve.colour)


def line_chart(curves: Sequence[Curve], *, label: str, description: str, over: str = "steps") -> Markup:
    """Curves over the steps of a training, or something else; the axis is logarithmic where values differ much."""
    values = np.concatenate([curve.values for curve in curves])
    low, high, last = float(values.min()), float(values.max()), max(float(curve.steps[-1]) + 1 for curve in curves)
    logarithmic = low > 0 and high / low > LOG_FROM
    ticks = _log_ticks(low, high) if logarithmic else _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    scale = math.log if logarithmic else float

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def y(value: float) -> float:
        span = (scale(high) - scale(low)) or 1
        return TOP + (HEIGHT - TOP - BOTTOM) * (scale(high) - scale(value)) / span

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _ticks(0, last):
        if tick <= last:
            anchor = "end" if x(tick) > WIDTH - RIGHT - 20 else "middle"
            parts.append(
                f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{tick:g}</text>'
            )
    for curve in reversed(curves):  # the baseline comes last: dashed, it lets a curve below it be seen
        points = " ".join(
            f"{x(step):.1f},{y(value):.1f}" for step, value in zip(curve.steps, curve.values, strict=True)
        )
        parts.append(
            f'<polyline class="curve c{curve.colour % N_COLOURS}" points="{points}"><title>{escape(curve.name)}'
            "</title></polyline>"
        )
    axis = f"{label}, logarithmic, over {over}" if logarithmic else f"{label} over {over}"
    parts.append(f'<text class="tick" x="0" y="14">{escape(axis)}</text></svg>')
    return Markup("".join(parts))


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
    first = max(place for place, tick in enumerate(all_ticks) if tick <= low)
    last = min((place for place, tick in enumerate(all_ticks) if tick >= high), default=len(all_ticks) - 1)
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
