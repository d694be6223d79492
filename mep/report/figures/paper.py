"""Figures for print: SVG, PDF and PNG of each, the numbers behind it as CSV, and captions that stand alone.

Matplotlib draws them, which the page does without: journals ask for PDF and for text that stays text. Colours, markers
and lines of the arms are those of the page, from styles.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.typing import LineStyleType, RcKeyType

from mep.machine.files import write_atomically, write_text
from mep.report.data.runs import Report
from mep.report.figures.charts import CurveSet, loss_curves
from mep.report.figures.gallery import Block, label_blocks
from mep.report.figures.maps import REAL, Map, embedding_maps
from mep.report.figures.pictures import pixels_of
from mep.report.figures.strips import sample_sets
from mep.report.figures.styles import REFERENCE, Style, reference_style, style
from mep.report.tables.comparison import Comparison, Metric
from mep.report.tables.formats import csv_cell, csv_text
from mep.report.text import clipped, listed, p_text, plain

Cell: TypeAlias = str | int | float | None

WIDTH_IN = 6.9
"""Two columns of most journals, 175 mm."""
DPI = 300
SETTINGS: dict[RcKeyType, object] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "mep",
    "legend.frameon": False,
}
UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata without a date, so that equal figures are equal files."""
MOST_METRICS, MOST_COLUMNS = 24, 8


@dataclass(frozen=True)
class Figure:
    """A drawing, its caption and the numbers in it, under a row of headings."""

    name: str
    drawing: Drawing
    caption: str
    rows: list[list[Cell]]


def write_figures(report: Report, folder: Path, comparison: Comparison) -> list[Path]:
    """Write every figure that the runs have data for; what was written, captions.md last."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    captions = []
    with matplotlib.rc_context({**SETTINGS, "backend": "agg"}):
        for figure in _figures(report, comparison):
            for kind in ("svg", "pdf", "png"):
                written.append(folder / f"{figure.name}.{kind}")
                save = partial(figure.drawing.savefig, format=kind, dpi=DPI, metadata=UNDATED.get(kind))
                write_atomically(written[-1], partial(save, bbox_inches="tight"))
            written.append(folder / f"{figure.name}.csv")
            cells = [[None if cell is None else csv_cell(cell) for cell in row] for row in figure.rows]
            write_text(written[-1], csv_text(cells))
            captions.append(f"**{figure.name}.** {figure.caption}")
            figure.drawing.clear()
    report.kept.save()
    written.append(folder / "captions.md")
    write_text(written[-1], "\n\n".join(captions) + "\n")
    return written


def _figures(report: Report, comparison: Comparison) -> Iterator[Figure]:
    if comparison.metrics:
        yield _metrics(comparison)
    if comparison.has_differences:
        yield _differences(comparison)
    for curve_set in reversed(loss_curves(report)):
        yield _losses(curve_set)
    sets = sample_sets(report)
    blocks = label_blocks(report, sets)[0]
    if sets and blocks:
        yield _samples(blocks)
    for number, embedding_map in enumerate(embedding_maps(report, sets, thumbnails=False), 1):
        yield _map(embedding_map, "map" if number == 1 else f"map-{number}", [arm.label for arm in report.arms])


def _new(height_in: float, *shape: int) -> tuple[Drawing, list[Axes]]:
    drawing = Drawing(figsize=(WIDTH_IN, height_in), layout="constrained")
    return drawing, list(drawing.subplots(*(shape or (1, 1)), squeeze=False).flat)


def _short(text: str) -> str:
    return clipped(plain(text), 28)


def _line(style: Style) -> LineStyleType:
    """The line of a style, as matplotlib wants it; the style's lengths are pixels of a line of 2."""
    return (0, tuple(length / 2 for length in style.dash)) if style.dash else "-"


def _metrics(comparison: Comparison) -> Figure:
    """Every metric in a panel of its own: arms as points with their errors, references as lines."""
    metrics = [
        metric for metric in comparison.metrics if any(number.value is not None for number in metric.arms.values())
    ][:MOST_METRICS]
    across = max(min(3, len(metrics)), 1)
    down = max(-(-len(metrics) // across), 1)
    drawing, panels = _new(0.5 + down * (0.7 + 0.16 * len(comparison.arms)), down, across)
    rows: list[list[Cell]] = [["metric", "arm", "value", "error"]]
    for axis, metric in zip(panels, metrics, strict=False):
        rows += _panel(axis, metric, comparison.arms, comparison.references)
        axis.set_title(metric.title if len(comparison.extractors) == 1 else metric.id, fontsize=8)
    for axis in panels[len(metrics) :]:
        axis.set_axis_off()
    repeated = any(number.repeats for metric in comparison.metrics for number in metric.arms.values())
    bars = "standard deviations over repeats" if repeated else "standard errors"
    drawn = [title for title in comparison.references if any(title in metric.references for metric in metrics)]
    words = [f"{reference_style(comparison.references.index(title)).word} {plain(title)}" for title in drawn]
    lines = f" Lines: {listed(words)}." if words else ""
    caption = f"Metrics of generated against held-out real images; bars are {bars}.{lines}"
    return Figure("metrics", drawing, caption, rows)


def _panel(axis: Axes, metric: Metric, labels: Sequence[str], references: Sequence[str]) -> Iterator[list[Cell]]:
    """Draw a metric; its rows of the CSV. A reference has the line of its place among all, also where others lack."""
    for line, label in enumerate(labels):
        number = metric.arms.get(label)
        if number is not None and number.value is not None:
            value, error = number.value * metric.scale, (number.se or 0) * metric.scale
            axis.errorbar(value, -line, xerr=error, color=style(line).light, marker=style(line).marker, ms=4, capsize=2)
            yield [metric.id, label, number.value, number.se]
    for title, number in metric.references.items():
        if number.value is not None:
            line_style = _line(reference_style(references.index(title)))
            axis.axvline(number.value * metric.scale, color=REFERENCE, lw=0.9, ls=line_style, zorder=0)
            yield [metric.id, title, number.value, number.se]
    axis.set_yticks([-line for line in range(len(labels))], [_short(label) for label in labels])
    axis.set_ylim(-len(labels) + 0.5, 0.5)


def _differences(comparison: Comparison) -> Figure:
    """All differences to the baseline in units of their standard error, the better side to the right."""
    metrics = [metric for metric in comparison.metrics if metric.differences][:MOST_METRICS]
    baseline, n_others = comparison.baseline, len(comparison.arms) - 1
    drawing, (axis,) = _new(0.7 + 0.28 * len(metrics) * max(1, n_others) ** 0.6)
    rows: list[list[Cell]] = [["metric", "arm", "baseline", "difference", "low", "high", "p", "clear"]]
    for line, metric in enumerate(metrics):
        rows += ([metric.id, *row] for row in _intervals(axis, metric, comparison, line))
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set_yticks([-line for line in range(len(metrics))], [metric.title for metric in metrics])
    axis.set_xlabel(f"difference to {_short(baseline)} in standard errors; better to the right")
    if n_others > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    label, first = next(iter(metrics[0].differences.items()))
    caption = (
        f"Differences to {plain(baseline)} with 95 % intervals; filled markers leave zero out. "
        f"{metrics[0].title}, {plain(label)}: {p_text(first.p)}."
    )
    return Figure("differences", drawing, caption, rows)


def _intervals(axis: Axes, metric: Metric, comparison: Comparison, line: int) -> Iterator[list[Cell]]:
    """Draw the differences of a metric; their rows of the CSV."""
    labels = [label for label in comparison.arms if label != comparison.baseline]
    for number, label in enumerate(labels):
        delta = metric.differences.get(label)
        if delta is None or delta.se <= 0:
            continue
        look = style(comparison.arms.index(label))
        axis.errorbar(
            metric.right * delta.value / delta.se,
            -line + 0.25 - 0.5 * (number + 0.5) / len(labels),
            xerr=(delta.high - delta.low) / 2 / delta.se,
            color=look.light,
            marker=look.marker,
            ms=4,
            capsize=2,
            mfc=look.light if delta.is_clear else "white",
            label=_short(label) if line == 0 else None,
        )
        yield [label, comparison.baseline, delta.value, delta.low, delta.high, delta.p, delta.is_clear]


def _losses(curve_set: CurveSet) -> Figure:
    drawing, (axis,) = _new(2.4)
    rows: list[list[Cell]] = [["arm", "step", "running mean of the loss"]]
    for curve in curve_set.curves:
        label, look = _short(curve.name), style(curve.colour)
        axis.plot(curve.steps, curve.values, color=look.light, ls=_line(look), lw=1.1, label=label)
        rows += [[label, int(step), float(value)] for step, value in zip(curve.steps, curve.values, strict=True)]
    axis.set_xlabel("step")
    axis.set_ylabel("loss")
    axis.legend()
    name, what = ("loss", "Denoising") if curve_set.title == "UNet" else ("autoencoder-loss", "Autoencoder")
    windows = listed([str(window) for window in curve_set.windows])
    return Figure(name, drawing, f"{what} loss, running mean over {windows} steps.", rows)


def _samples(blocks: Sequence[Block]) -> Figure:
    strips = [(block, strip) for block in blocks for strip in block.strips if strip.what != "real, training"]
    drawing, panels = _new(0.1 + len(strips) * WIDTH_IN / (MOST_COLUMNS + 1.6), len(strips), MOST_COLUMNS)
    rows: list[list[Cell]] = [["row", "column", "label", "set", "image"]]
    for axis in panels:
        axis.set_axis_off()
    for line, (block, strip) in enumerate(strips):
        axes = panels[line * MOST_COLUMNS : (line + 1) * MOST_COLUMNS]
        for column, (axis, picture) in enumerate(zip(axes, strip.pictures, strict=False), 1):
            if picture.uri:
                axis.imshow(pixels_of(picture))
                rows.append([line + 1, column, block.title, listed(strip.arms) or strip.what, picture.alt])
        name = f"{_short(block.title)}\n{listed([_short(label) for label in strip.arms]) or strip.what}"
        axes[0].text(-0.08, 0.5, name, transform=axes[0].transAxes, ha="right", va="center", fontsize=6)
    caption = "Held-out real and generated images of every label, evenly spread, not picked."
    return Figure("samples", drawing, caption, rows)


def _map(embedding_map: Map, name: str, arms: Sequence[str]) -> Figure:
    drawing, (axis,) = _new(4.2)
    rows: list[list[Cell]] = [["image", "set", "label", "cluster", "x", "y"]]
    axes, description = next(iter(embedding_map.axes.items()))
    for origin in dict.fromkeys(point.of for point in embedding_map.points):
        look = Style("#a6a6a6", "", ".", "", (), "") if origin == REAL else style(arms.index(origin))
        points = [point for point in embedding_map.points if point.of == origin]
        xy = np.array([point.at[axes] for point in points])
        axis.scatter(
            xy[:, 0],
            xy[:, 1],
            s=9,
            color=look.light,
            marker=look.marker,
            alpha=0.7,
            lw=0,
            label=_short(origin),
            rasterized=len(points) > 2000,
        )
        rows += [[point.name, origin, point.label, point.cluster, *point.at[axes]] for point in points]
    axis.set_xticks([])
    axis.set_yticks([])
    axis.legend(markerscale=2)
    return Figure(name, drawing, f"{plain(embedding_map.title)}: {description}.", rows)
