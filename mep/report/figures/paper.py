"""Figures for print: SVG, PDF and PNG of each, the numbers behind it as CSV, and captions that stand alone.

Colours are those of Okabe & Ito (2008), which people with any colour vision tell apart; arms also differ in marker
and dashes, so that a grey print is enough.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.artifacts import BaseModel, Model
from mep.machine.files import write_atomically, write_text
from mep.report.data.runs import Report
from mep.report.figures.charts import running_mean, window_for
from mep.report.figures.gallery import Block, drawn, label_blocks
from mep.report.figures.maps import embedding_maps
from mep.report.figures.pictures import pixels_of
from mep.report.tables.comparison import Comparison
from mep.report.tables.formats import csv_cell, csv_text
from mep.report.tables.verdict import is_clear
from mep.report.text import clipped, listed, p_text, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 5)))
WIDTH_IN = 6.9
"""Two columns of most journals, 175 mm."""
DPI = 300
SETTINGS: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "mep",
    "legend.frameon": False,
}
MOST_METRICS, MOST_COLUMNS = 24, 8


@dataclass(frozen=True)
class Plate:
    """A figure, its caption and the rows of the numbers in it."""

    name: str
    figure: "Figure"
    caption: str
    rows: list[list[Any]]


def write_figures(report: Report, folder: Path, found: Comparison) -> list[Path]:
    """Write every figure that the runs have data for; what was written, captions.md last."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    captions = []
    with matplotlib.rc_context({**SETTINGS, "backend": "agg"}):
        for plate in _plates(report, found):
            for kind in ("svg", "pdf", "png"):
                path = folder / f"{plate.name}.{kind}"
                dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
                write_atomically(path, _saver(plate.figure, kind, dated))
                written.append(path)
            path = folder / f"{plate.name}.csv"
            write_text(
                path, csv_text([[csv_cell(cell) if cell is not None else None for cell in row] for row in plate.rows])
            )
            written.append(path)
            captions.append(f"**{plate.name}.** {plate.caption}")
            plate.figure.clear()
    path = folder / "captions.md"
    write_text(path, "\n\n".join(captions) + "\n")
    return [*written, path]


def _saver(figure: "Figure", kind: str, dated: dict[str, Any] | None) -> Callable[[Any], None]:
    return lambda file: figure.savefig(file, format=kind, dpi=DPI, metadata=dated, bbox_inches="tight")


def _plates(report: Report, found: Comparison) -> Iterator[Plate]:
    if found.metrics:
        yield _metrics(found)
    if found.has_differences:
        yield _differences(found)
    yield from _losses(report)
    sets = drawn(report)
    blocks = label_blocks(report, sets).blocks
    if sets and blocks:
        yield _samples(blocks)
    yield from _maps(report, sets)


def _new(height_in: float, *shape: int) -> "tuple[Figure, list[Any]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = figure.subplots(*(shape or (1, 1)), squeeze=False)
    return figure, list(axes.flat)


def _short(text: str) -> str:
    return clipped(plain(text), 28)


def _metrics(found: Comparison) -> Plate:
    """Every metric in a panel of its own: arms as points with their errors, references as lines."""
    metrics = [metric for metric in found.metrics if any(one.value is not None for one in metric.arms.values())]
    metrics = metrics[:MOST_METRICS]
    across = min(3, len(metrics)) or 1
    down = -(-len(metrics) // across) or 1
    figure, axes = _new(0.5 + down * (0.7 + 0.16 * len(found.arms)), down, across)
    rows: list[list[Any]] = [["metric", "arm", "value", "error"]]
    for axis, metric in zip(axes, metrics, strict=False):
        for place, label in enumerate(found.arms):
            number = metric.arms.get(label)
            if number is None or number.value is None:
                continue
            value, error = number.value * metric.scale, (number.se or 0) * metric.scale
            axis.errorbar(value, -place, xerr=error, color=_colour(place), marker=MARKERS[place % 8], ms=4, capsize=2)
            rows.append([metric.id, label, number.value, number.se])
        for number_of, (title, number) in enumerate(metric.references.items()):
            if number.value is not None:
                axis.axvline(number.value * metric.scale, color="0.45", lw=0.9, ls=DASHES[1 + number_of % 7], zorder=0)
                rows.append([metric.id, title, number.value, number.se])
        axis.set_title(metric.title if len(found.extractors) == 1 else metric.id, fontsize=8)
        axis.set_yticks([-place for place in range(len(found.arms))], [_short(label) for label in found.arms])
        axis.set_ylim(-len(found.arms) + 0.5, 0.5)
    for axis in axes[len(metrics) :]:
        axis.set_axis_off()
    bars = "standard deviations over repeats" if _repeated(found) else "standard errors (delete-half jackknife)"
    lines = listed(
        [
            f"{style} {title}"
            for style, title in zip(("dashed", "dash-dotted", "dotted"), found.references, strict=False)
        ]
    )
    caption = f"Metrics of generated against held-out real images; bars are {bars}." + (
        f" Lines: {lines}." if lines else ""
    )
    return Plate("metrics", figure, caption, rows)


def _repeated(found: Comparison) -> bool:
    return any(one.repeats for metric in found.metrics for one in metric.arms.values())


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _differences(found: Comparison) -> Plate:
    """All differences to the baseline in units of their standard error, the better side to the right."""
    metrics = [metric for metric in found.metrics if metric.differences][:MOST_METRICS]
    others = [label for label in found.arms if label != found.baseline]
    figure, (axis,) = _new(0.7 + 0.28 * len(metrics) * max(1, len(others)) ** 0.6)
    rows: list[list[Any]] = [["metric", "arm", "baseline", "difference", "low", "high", "p", "clear"]]
    for line, metric in enumerate(metrics):
        for place, label in enumerate(others):
            delta = metric.differences.get(label)
            if delta is None or delta.se <= 0:
                continue
            sign = -1 if metric.better == "lower" else 1
            y = -line + 0.25 - 0.5 * (place + 0.5) / len(others)
            half = (delta.high - delta.low) / 2 / delta.se
            axis.errorbar(
                sign * delta.value / delta.se,
                y,
                xerr=half,
                color=_colour(place + 1),
                marker=MARKERS[(place + 1) % 8],
                ms=4,
                capsize=2,
                mfc=_colour(place + 1) if is_clear(delta) else "white",
                label=_short(label) if line == 0 else None,
            )
            rows.append(
                [metric.id, label, found.baseline, delta.value, delta.low, delta.high, delta.p, is_clear(delta)]
            )
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set_yticks([-line for line in range(len(metrics))], [metric.title for metric in metrics])
    axis.set_xlabel(f"difference to {_short(found.baseline)} in standard errors; better to the right")
    if len(others) > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    first = metrics[0]
    example = next(((label, delta) for label, delta in first.differences.items()), None)
    told = f" {first.title}, {plain(example[0])}: {p_text(example[1].p)}." if example else ""
    caption = f"Differences to {plain(found.baseline)} with 95 % intervals; filled markers leave zero out.{told}"
    return Plate("differences", figure, caption, rows)


def _losses(report: Report) -> Iterator[Plate]:
    kinds: dict[str, list[tuple[list[str], list[dict[str, Any]]]]] = {
        "loss": [(arms, model.losses) for arms, model in report.sharing(Model)],
        "autoencoder-loss": [(arms, base.losses) for arms, base in report.sharing(BaseModel)],
    }
    for name, logs in kinds.items():
        logs = [(arms, losses) for arms, losses in logs if losses]
        if not logs:
            continue
        figure, (axis,) = _new(2.4)
        rows: list[list[Any]] = [["arm", "step", "running mean of the loss"]]
        for place, (arms, losses) in enumerate(logs):
            window = window_for(len(losses))
            values = running_mean(np.array([row["loss"] for row in losses], dtype=np.float64), window)
            steps = [row["step"] for row in losses][window - 1 :]
            label = _short(listed(arms)) if len(arms) < len(report.arms) else "all arms"
            axis.plot(steps, values, color=_colour(place), ls=DASHES[place % 8], lw=1.1, label=label)
            rows += [[label, step, float(value)] for step, value in zip(steps, values, strict=True)]
        axis.set_xlabel("step")
        axis.set_ylabel("loss")
        axis.legend()
        windows = sorted({window_for(len(losses)) for _, losses in logs})
        what = "Denoising" if name == "loss" else "Autoencoder"
        yield Plate(
            name, figure, f"{what} loss, running mean over {listed([str(one) for one in windows])} steps.", rows
        )


def _samples(blocks: Sequence[Block]) -> Plate:
    """Real and generated images of every label, a row each."""
    strips = [(block, strip) for block in blocks for strip in block.strips if strip.what != "real, training"]
    figure, axes = _new(0.1 + len(strips) * WIDTH_IN / (MOST_COLUMNS + 1.6), len(strips), MOST_COLUMNS)
    rows: list[list[Any]] = [["row", "column", "label", "set", "image"]]
    for line, (block, strip) in enumerate(strips):
        for column in range(MOST_COLUMNS):
            axis = axes[line * MOST_COLUMNS + column]
            axis.set_axis_off()
            if column < len(strip.pictures) and strip.pictures[column].uri:
                axis.imshow(pixels_of(strip.pictures[column]))
                own = listed(strip.arms) or strip.what
                rows.append([line + 1, column + 1, block.title, own, strip.pictures[column].alt])
        own = listed([_short(label) for label in strip.arms]) or strip.what
        axes[line * MOST_COLUMNS].text(
            -0.08,
            0.5,
            f"{_short(block.title)}\n{own}",
            transform=axes[line * MOST_COLUMNS].transAxes,
            ha="right",
            va="center",
            fontsize=6,
        )
    return Plate(
        "samples", figure, "Held-out real and generated images of every label, evenly spread, not picked.", rows
    )


def _maps(report: Report, sets: Any) -> Iterator[Plate]:
    for number, found in enumerate(embedding_maps(report, sets, thumbnails=False), 1):
        figure, (axis,) = _new(4.2)
        rows: list[list[Any]] = [["image", "set", "label", "cluster", "x", "y"]]
        axes = next(iter(found.axes))
        for place, own in enumerate(dict.fromkeys(point.own for point in found.points)):
            points = [point for point in found.points if point.own == own]
            xy = np.array([point.at[axes] for point in points])
            axis.scatter(
                xy[:, 0],
                xy[:, 1],
                s=9,
                color="0.6" if own == "real" else _colour(place),
                marker=MARKERS[place % 8],
                alpha=0.7,
                lw=0,
                label=_short(own),
                rasterized=len(points) > 2000,
            )
            rows += [[point.name, own, point.label, point.cluster, *point.at[axes]] for point in points]
        axis.set_xticks([])
        axis.set_yticks([])
        axis.legend(markerscale=2)
        name = "map" if number == 1 else f"map-{number}"
        yield Plate(name, figure, f"{plain(found.title)}: {found.axes[axes]}.", rows)
