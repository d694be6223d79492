"""What a calibration found, as a picture: a panel for each kind of harm, over images at every dose."""

import base64
import io
import math
from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from mep.artifacts import Calibration
from mep.artifacts.calibration import NOTICED, Effect
from mep.imaging.degradations import KINDS
from mep.report.text import listed

WIDTH, PLOT, LEFT, TOP = 330, 130, 34, 26
"""Of a panel, in pixels: its width, the height of its curves, and the room beside and above them."""
THUMB = 50
LOW, HIGH = 0.3, 100.0
"""Ends of the logarithmic axis of signals; what is beyond is drawn at the end."""
TICKS = (1.0, 10.0, 100.0)
ORDER = ("kid", "fd", "precision", "recall", "density", "coverage", "copy_rate", "kid by label")
"""Metrics by the number of their colour."""
STYLE = """
svg { font: 11px system-ui, sans-serif; background: #fff; color: #1a1a1a }
text { fill: currentColor } .grid { stroke: #ccc } .limit { stroke: #1a1a1a; stroke-dasharray: 4 3 }
.curve { fill: none; stroke-width: 1.6 } .curve.c0 { stroke-width: 3 }
"""
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a6d00")


def metrics_of(calibration: Calibration) -> list[tuple[str, int]]:
    """Every metric with the number of its colour."""
    there = {effect.metric for effect in calibration.effects}
    return [(metric, number) for number, metric in enumerate(ORDER) if metric in there]


def panels(calibration: Calibration, extractor: str) -> list[Markup]:
    """An SVG for each kind of harm: signal of every metric over the dose, and one image at every dose.

    Colours are those of the style sheet, `.c0` to `.c7`, in the order of `metrics_of`.
    """
    return [_panel(calibration, extractor, harm) for harm in _kinds(calibration, extractor)]


def drawing(calibration: Calibration) -> str:
    """All panels of all extractors as one SVG file that needs nothing else."""
    extractors = list(dict.fromkeys(effect.extractor for effect in calibration.effects))
    across, height = 4, TOP + PLOT + THUMB + 40
    parts, y = [], 10
    for extractor in extractors:
        title = f"{extractor}, n = {calibration.n}, {calibration.size_px} px: effect in units of noise"
        parts.append(f'<text x="8" y="{y + 12}" font-size="14" font-weight="bold">{escape(title)}</text>')
        for number, panel in enumerate(panels(calibration, extractor)):
            place = f'x="{number % across * WIDTH}" y="{y + 20 + number // across * height}"'
            parts.append(str(panel).replace("<svg ", f'<svg {place} width="{WIDTH}" height="{height}" ', 1))
        y += 40 + height * -(-len(_kinds(calibration, extractor)) // across)
    x = 8
    for metric, number in metrics_of(calibration):
        parts.append(f'<rect class="c{number}" x="{x}" y="{y}" width="14" height="4" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 7}">{escape(metric)}</text>')
        x += 40 + 7 * len(metric)
    parts.append(f'<text x="{x + 20}" y="{y + 7}">dashed: noticed from here on (power 0.8, two-sided 5 %)</text>')
    rules = STYLE + "".join(f".curve.c{n} {{ stroke: {colour} }}\n" for n, colour in enumerate(COLOURS))
    size = f'width="{across * WIDTH}" height="{y + 20}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{rules}</style>{"".join(parts)}</svg>\n'


def _kinds(calibration: Calibration, extractor: str) -> list[str]:
    there = {effect.harm for effect in calibration.effects if effect.extractor == extractor}
    return [harm for harm in KINDS if harm in there]


def _panel(calibration: Calibration, extractor: str, harm: str) -> Markup:
    effects = [one for one in calibration.effects if (one.extractor, one.harm) == (extractor, harm)]
    change = KINDS[harm]
    doses = sorted({effect.dose for effect in effects}, key=change.strength)
    xs = [LEFT + (WIDTH - LEFT - 8) * (place + 0.5) / (len(doses) + 1) for place in range(len(doses) + 1)]
    metrics = [
        (metric, number) for metric, number in metrics_of(calibration) if any(e.metric == metric for e in effects)
    ]
    title = f"{harm}, {change.unit}"
    names = listed([metric for metric, _ in metrics])
    height = TOP + PLOT + THUMB + 34
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(f"effect of {harm} on {names} by dose")}" xmlns="http://www.w3.org/2000/svg">',
        f'<text class="tick" x="{LEFT}" y="16" font-weight="bold">{escape(title)}</text>',
        *_axis(),
    ]
    for metric, number in reversed(metrics):
        of_metric = {effect.dose: effect for effect in effects if effect.metric == metric}
        points = " ".join(f"{xs[1 + place]:.1f},{_y(of_metric[dose].signal):.1f}" for place, dose in enumerate(doses))
        parts.append(f'<polyline class="curve c{number}" points="{points}"><title>{escape(metric)}</title></polyline>')
        parts += _marks(of_metric, doses, xs[1:], number)
    examples = calibration.examples.get(harm)
    for place, x in enumerate(xs):
        label = "none" if place == 0 else f"{doses[place - 1]:g}"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{TOP + PLOT + 16}" text-anchor="middle">{label}</text>')
        if examples is not None and place < len(examples):
            box = f'x="{x - THUMB / 2:.1f}" y="{TOP + PLOT + 22}" width="{THUMB}" height="{THUMB}"'
            parts.append(f'<image {box} href="{_uri(examples[place])}"/>')
    return Markup("".join([*parts, "</svg>"]))


def _axis() -> Iterator[str]:
    for tick in TICKS:
        y = _y(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
    y = _y(NOTICED)
    yield f'<line class="grid limit" stroke-dasharray="4 3" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _marks(of_metric: dict[float, Effect], doses: Sequence[float], xs: Sequence[float], colour: int) -> Iterator[str]:
    """Points that say their numbers; a cross where the harmed images are called better."""
    for dose, x in zip(doses, xs, strict=True):
        effect = of_metric[dose]
        text = f"{effect.metric} at {dose:g}: effect {effect.effect:.3g}, {effect.signal:.1f} times the noise"
        text += f", power {effect.power:.2f}" + (", called better" if effect.misled else "")
        y, title = _y(effect.signal), f"<title>{escape(text)}</title>"
        if effect.misled:
            shape = f"M{x - 4:.1f},{y - 4:.1f}l8,8m0,-8l-8,8"
            yield f'<path class="curve c{colour}" d="{shape}">{title}</path>'
        else:
            yield f'<circle class="curve c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2">{title}</circle>'


def _y(signal: float) -> float:
    share = math.log(min(max(signal, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return TOP + PLOT * (1 - share)


def _uri(pixels: NDArray[np.uint8]) -> str:
    """A picture as it is, without loss: a blurred edge must not come from its encoding."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if image.width > 2 * THUMB:
        image = image.resize((2 * THUMB, 2 * THUMB), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
