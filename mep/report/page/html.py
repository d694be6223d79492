"""The report as one HTML file: no request, readable on a phone, printable, complete without its script."""

import base64
import hashlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

import mep
from mep.artifacts import Images, TrainingSet
from mep.machine.files import write_text
from mep.report.data.runs import Report
from mep.report.figures.charts import N_COLOURS, interval_mark
from mep.report.figures.curves import charts
from mep.report.figures.gallery import NO_LABEL, cluster_tiles, drawn, label_blocks, outlier_tiles, prompt_blocks
from mep.report.figures.maps import TILE_PX, TILES_ACROSS, embedding_maps
from mep.report.page.sections import choices_of_k, confusions, looks, near_copies, usefulness
from mep.report.tables.compare import comparison
from mep.report.tables.comparison import Comparison, Metric
from mep.report.tables.grid import footnotes, grid
from mep.report.tables.verdict import is_better, is_clear, verdict
from mep.report.tables.view import View, select
from mep.report.text import clipped, difference_text, interval_text, listed, p_text, plain, rounded
from mep.statistics.intervals import Z_95

if TYPE_CHECKING:
    from jinja2 import Environment

VIEW = View()
"""What a page shows where nothing else is asked for."""

SMALLEST_REACH = 3.0
"""Standard errors that the marks of differences reach at least, so that small ones look small."""

MANY_BLOCKS = 8
"""Prompts that are shown open; of more, the others are folded."""


def write_html(report: Report, path: Path, found: Comparison | None = None, view: View = VIEW) -> None:
    """Write the page of one or several runs, whole or not at all.

    found       what its tables compare; without one every arm, and differences to the first arm of a single run
    view        which rows and columns of it
    """
    write_text(path, page(report, found, view))


def page(report: Report, found: Comparison | None = None, view: View = VIEW) -> str:
    whole = found or comparison(report.store, [run.run_id for run in report.runs])
    shown = select(whole, view)
    sets = drawn(report)
    script = _resource("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    context: dict[str, Any] = {
        "groups": _groups(whole, shown.arms),
        "labels": label_blocks(report, sets),
        "prompts": prompt_blocks(sets),
        "clusters": cluster_tiles(report, sets),
        "maps": embedding_maps(report, sets),
        "outliers": outlier_tiles(report),
        "charts": charts(report),
        "confusions": confusions(report),
        "copies": near_copies(report, sets),
        "useful": usefulness(report),
        "looks": looks(report),
        "choices": choices_of_k(report),
        "shortages": [(arms, one.shortage) for arms, one in report.sharing(TrainingSet) if one.shortage],
    }
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            version=mep.__version__,
            style=Markup(_resource("report.css")),
            script=Markup(script),
            script_digest=digest,
            sections=list(_sections(context)),
            comparison=shown,
            verdict=verdict(shown),
            grid=grid(shown),
            metric_of={metric.id: metric for metric in shown.metrics},
            footnotes=footnotes(shown),
            differences=_differences(shown),
            colour={arm.name: number % N_COLOURS for number, arm in enumerate(report.arms)}
            | {label: number % N_COLOURS for number, label in enumerate(shown.arms)},
            label_colour=_label_colours(report),
            many_blocks=MANY_BLOCKS,
            tile_px=TILE_PX,
            tiles_across=TILES_ACROSS,
            **context,
        )
    )


def _sections(context: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Anchor, title and presence of every section after the comparison, in the order of the page."""
    yield "groups", "Groups", bool(context["groups"])
    yield "labels", "By label", bool(context["labels"].blocks)
    yield "samples", "By prompt", bool(context["prompts"].blocks)
    yield "clusters", "Clusters", bool(context["clusters"])
    yield "map", "Maps", bool(context["maps"])
    yield "outliers", "Outliers", bool(context["outliers"])
    yield "adherence", "Adherence", bool(context["confusions"])
    yield "copies", "Near copies", bool(context["copies"])
    yield "utility", "Usefulness", bool(context["useful"])
    yield "training", "Training", bool(context["charts"] or context["shortages"] or context["looks"])
    yield "stages", "Stages", True
    yield "recipe", "Recipe", True


def environment() -> "Environment":
    from jinja2 import Environment, PackageLoader

    found = Environment(loader=PackageLoader("mep.report.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"plain": plain, "clipped": lambda text, n: clipped(plain(text), n), "listed": listed}
    found.filters |= {"seconds": seconds, "memory": memory, "lines": _lines, "fact": fact, "rounded": rounded}
    return found


def _resource(name: str) -> str:
    return (resources.files("mep.report.page") / "templates" / name).read_text(encoding="utf-8")


def _label_colours(report: Report) -> dict[str, int]:
    """One colour a label on the whole page, from the end of the palette that small numbers of arms leave free."""
    labels = dict.fromkeys(label for _, images in report.sharing(Images) for label in images.label_names)
    return {label: (3 + number) % N_COLOURS for number, label in enumerate([*labels, NO_LABEL])}


def _differences(found: Comparison) -> list[dict[str, Any]]:
    """Every metric with the differences of all arms to the baseline, drawn to one scale."""
    z = [abs(delta.value / delta.se) for one in found.metrics for delta in one.differences.values() if delta.se > 0]
    reach = min(max([SMALLEST_REACH, *(value + Z_95 for value in z)]), 12.0)
    return [{"metric": metric, "arms": _marks(metric, reach)} for metric in found.metrics if metric.differences]


def _marks(metric: Metric, reach: float) -> dict[str, dict[str, Any]]:
    shown = {}
    for label, delta in metric.differences.items():
        sign = 1 if is_better(delta, metric) else -1
        meaning = "better" if sign > 0 else "worse"
        half_width = (delta.high - delta.low) / 2 / delta.se if delta.se > 0 else 0
        shown[label] = {
            "value": difference_text(delta, metric.scale),
            "interval": interval_text(delta, metric.scale),
            "p": p_text(delta.p),
            "mark": interval_mark(sign * abs(delta.value) / delta.se, reach, half_width) if delta.se > 0 else "",
            "meaning": meaning if is_clear(delta) else "undecided",
        }
    return shown


def _groups(found: Comparison, labels: list[str]) -> list[dict[str, Any]]:
    """Metrics per label, cluster or prompt: one table a metric, a row a group; gaps of all arms are left out."""
    tables: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in found.metrics:
        if metric.group != "all" and any(one.value is not None for one in metric.arms.values()):
            tables.setdefault((metric.extractor, metric.metric, metric.reference), []).append(metric)
    return [
        {"title": _bare(own[0]), "extractor": own[0].extractor, "metrics": own, "labels": labels}
        for own in tables.values()
    ]


def _bare(metric: Metric) -> str:
    from dataclasses import replace

    return replace(metric, group="all").title


def seconds(value: float | None) -> str:
    """4.2 s, 3 min 07 s, 2 h 05 min."""
    if value is None:
        return "–"
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def memory(megabytes: float | None) -> str:
    return "–" if megabytes is None else f"{megabytes / 1000:.2f} GB"


def fact(value: Any) -> str:
    """A count with its thousands set apart, anything else as it is."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else plain(value)


def _lines(text: str) -> Markup:
    """A text of several lines, each of them plain."""
    return Markup("\n").join(plain(line) for line in text.splitlines())
