"""The report as one HTML file: no request, readable on a phone, printable, complete without its script."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

import mep
from mep.artifacts import Images, TrainingSet
from mep.machine.files import write_text
from mep.report import text
from mep.report.data.controlled import controlled
from mep.report.data.runs import Report
from mep.report.figures.charts import N_COLOURS
from mep.report.figures.clusters import cluster_tiles, outlier_tiles
from mep.report.figures.gallery import label_blocks, prompt_blocks
from mep.report.figures.maps import TILE_PX, TILES_ACROSS, embedding_maps
from mep.report.figures.pictures import NO_LABEL, sample_sets
from mep.report.page import sections
from mep.report.tables import compare
from mep.report.tables.assay import ABOUT, HEADINGS, assay_of
from mep.report.tables.comparison import Comparison, Delta, Metric
from mep.report.tables.grid import footnotes, grid
from mep.report.tables.verdict import is_better, is_clear, verdict
from mep.report.tables.view import View, select
from mep.statistics.intervals import Z_95

VIEW = View()
"""What a page shows where nothing else is asked for."""
SMALLEST_REACH = 3.0
"""Standard errors that the marks of differences reach at least, so that small ones look small."""
MANY_BLOCKS = 8
"""Prompts that are shown open; of more, the others are folded."""


def write_html(report: Report, path: Path, comparison: Comparison | None = None, view: View = VIEW) -> None:
    """Write the page of one or several runs, whole or not at all.

    comparison  what its tables show; without it every arm, and differences to the first arm of a single run
    view        which rows and columns of it
    """
    whole = comparison or compare.comparison(report.store, [run.run_id for run in report.runs])
    write_text(path, page(report, whole, view))


def page(report: Report, comparison: Comparison, view: View = VIEW) -> str:
    shown = select(comparison, view)
    parts = _parts(report) | {"groups": _groups(comparison)}
    script = _resource("report.js")
    colours = [arm.label for arm in report.arms], shown.arms
    labels = dict.fromkeys(label for shared in report.shared(Images) for label in shared.artifact.label_names)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            version=mep.__version__,
            style=Markup(_resource("report.css")),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            sections=[
                (anchor, title)
                for anchor, (title, names) in SECTIONS.items()
                if not names or any(parts[name] for name in names)
            ],
            comparison=shown,
            verdict=verdict(shown),
            assay=assay_of(shown),
            control_headings=HEADINGS,
            about_control=ABOUT,
            grid=grid(shown),
            metric_of={metric.id: metric for metric in shown.metrics},
            footnotes=footnotes(shown),
            reach=_reach(shown.metrics),
            colour={label: number % N_COLOURS for labels in colours for number, label in enumerate(labels)},
            # one colour a label on the whole page, from the end of the palette that small numbers of arms leave free
            label_colour={label: (3 + number) % N_COLOURS for number, label in enumerate([*labels, NO_LABEL])},
            many_blocks=MANY_BLOCKS,
            tile_px=TILE_PX,
            tiles_across=TILES_ACROSS,
            **parts,
        )
    )


def _parts(report: Report) -> dict[str, object]:
    sets = sample_sets(report)
    return {
        "labels": label_blocks(report, sets),
        "prompts": prompt_blocks(sets),
        "clusters": cluster_tiles(report, sets),
        "maps": embedding_maps(report, sets),
        "outliers": outlier_tiles(report),
        "charts": sections.charts(report),
        "confusions": sections.confusions(report),
        "copies": sections.near_copies(report, sets),
        "control": controlled(report.store, report.arms),
        "useful": sections.usefulness(report),
        "over_training": sections.samples_over_training(report),
        "choices": sections.choices_of_k(report),
        "instruments": sections.instruments(report),
        "shortages": [
            (shared.labels, shared.artifact.shortage)
            for shared in report.shared(TrainingSet)
            if shared.artifact.shortage
        ],
    }


SECTIONS = {
    "groups": ("Groups", ("groups",)),
    "labels": ("By label", ("labels",)),
    "samples": ("By prompt", ("prompts",)),
    "clusters": ("Clusters", ("clusters",)),
    "map": ("Maps", ("maps",)),
    "outliers": ("Outliers", ("outliers",)),
    "adherence": ("Adherence", ("confusions",)),
    "controlled": ("Controlled?", ("control",)),
    "copies": ("Near copies", ("copies",)),
    "utility": ("Usefulness", ("useful",)),
    "instrument": ("Instrument", ("instruments",)),
    "training": ("Training", ("charts", "shortages", "over_training")),
    "stages": ("Stages", ()),
    "recipe": ("Recipe", ()),
}
"""Anchor -> title, and the parts of which one has to be there; in the order of the page."""


def environment() -> Environment:
    jinja = Environment(loader=PackageLoader("mep.report.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= {name: getattr(text, name) for name in ("plain", "listed", "seconds", "memory", "fact", "rounded")}
    jinja.filters |= {"difference": text.difference_text, "interval": text.interval_text, "p": text.p_text}
    jinja.filters |= {"clipped": lambda value, n: text.clipped(text.plain(value), n), "meaning": _meaning}
    jinja.filters |= {"lines": lambda value: Markup("\n").join(map(text.plain, value.splitlines()))}
    jinja.filters |= {"heading": lambda metric: replace(metric, group="all").title}
    return jinja


def _resource(name: str) -> str:
    return (resources.files("mep.report.page") / "templates" / name).read_text(encoding="utf-8")


def _reach(metrics: Sequence[Metric]) -> float:
    """Standard errors from the middle to the edge of the marks of differences."""
    deltas = [delta for metric in metrics for delta in metric.differences.values() if delta.se > 0]
    return min(max([SMALLEST_REACH, *(abs(delta.value / delta.se) + Z_95 for delta in deltas)]), 12.0)


def _meaning(delta: Delta, metric: Metric, *, sure: bool = False) -> str:
    """better, worse or undecided; `sure` leaves out the last."""
    return ("better" if is_better(delta, metric) else "worse") if sure or is_clear(delta) else "undecided"


def _groups(comparison: Comparison) -> list[list[Metric]]:
    """A metric per label, cluster or prompt; groups without any number are left out."""
    tables: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in comparison.metrics:
        if metric.group != "all" and any(number.value is not None for number in metric.arms.values()):
            tables.setdefault((metric.extractor, metric.metric, metric.reference), []).append(metric)
    return list(tables.values())
