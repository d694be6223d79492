"""The report as one HTML file: no request, readable on a phone, printable, complete without its script."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mep
from mep.artifacts import Images, TrainingSet
from mep.evaluation.adherence import FEWEST_OF_A_SLIDE
from mep.machine.files import write_text
from mep.report.data.controlled import controlled
from mep.report.data.runs import Report
from mep.report.figures.charts import CurveSet
from mep.report.figures.clusters import cluster_tiles, outlier_tiles
from mep.report.figures.gallery import label_blocks, prompt_blocks
from mep.report.figures.maps import TILE_PX, TILES_ACROSS, embedding_maps
from mep.report.figures.opening import SHOWN_PX, opening
from mep.report.figures.strips import NO_LABEL, has_first_training, sample_sets
from mep.report.figures.styles import N_STYLES
from mep.report.page import confusions, sections
from mep.report.page.cards import card_of
from mep.report.page.frame import environment, framed
from mep.report.page.index import write_index
from mep.report.page.payload import payload
from mep.report.tables import compare
from mep.report.tables.assay import ABOUT, HEADINGS, assay_of
from mep.report.tables.comparison import Comparison, Metric
from mep.report.tables.grid import footnotes
from mep.report.tables.sheet import sheet
from mep.report.tables.verdict import verdict
from mep.report.tables.view import View, select

VIEW = View()
"""What a page shows where nothing else is asked for."""
SCRIPTS = ("d3", "plot", "report", "arms", "charts", "lightbox")
MANY_BLOCKS = 8
"""Prompts that are shown open; of more, the others are folded."""


def write_html(report: Report, path: Path, comparison: Comparison | None = None, view: View = VIEW) -> None:
    """Write the page of one or several runs, whole or not at all.

    comparison  what its tables show; without it every arm, and differences to the first arm of a single run
    view        which rows and columns of it
    """
    whole = comparison or compare.comparison(report.store, [run.run_id for run in report.runs])
    parts = _parts(report) | {"groups": _groups(whole)}
    write_text(path, _page(report, whole, view, parts))
    report.kept.save()
    if path.parent == report.store.run_folder(report.runs[0].run_id):
        card_of(report, verdict(select(whole, view)), parts["opening"])
        write_index(report.store)


def _page(report: Report, comparison: Comparison, view: View, parts: dict[str, Any]) -> str:
    shown = select(comparison, view)
    found = sheet(_with_more(shown, comparison, view))
    # the style of an arm is its place in its run, or in the comparison where arms of several runs were merged
    styles = {
        label: place for arms in (shown.arms, [arm.label for arm in report.arms]) for place, label in enumerate(arms)
    }
    labels = dict.fromkeys(label for shared in report.shared(Images) for label in shared.artifact.label_names)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            version=mep.__version__,
            **framed(*SCRIPTS),
            data=payload(list(styles), styles, found, _curves(parts)),
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
            sheet=found,
            chosen={metric.id for metric in shown.metrics},
            footnotes=footnotes(shown),
            colour={label: place % N_STYLES for label, place in styles.items()},
            # one colour a label on the whole page, from the end of the palette that small numbers of arms leave free
            label_colour={label: (3 + number) % N_STYLES for number, label in enumerate([*labels, NO_LABEL])},
            many_blocks=MANY_BLOCKS,
            repeated=not all(has_first_training([arm.label]) for arm in report.arms),
            opening_px=SHOWN_PX,
            tile_px=TILE_PX,
            tiles_across=TILES_ACROSS,
            n_slides=confusions.N_SLIDES,
            fewest_of_a_slide=FEWEST_OF_A_SLIDE,
            **parts,
        )
    )


def _with_more(shown: Comparison, comparison: Comparison, view: View) -> Comparison:
    """What is shown, and what a reader may choose to see: all metrics of all images, where nobody chose before."""
    if view.columns or view.drop:
        return shown
    more = select(comparison, replace(view, everything=True))
    return replace(shown, metrics=[metric for metric in more.metrics if metric.group == "all"])


def _curves(parts: dict[str, Any]) -> list[CurveSet]:
    useful = parts["useful"]
    return [*parts["charts"], *([useful.chart] if useful and useful.chart else [])]


def _parts(report: Report) -> dict[str, Any]:
    sets = sample_sets(report)
    return {
        "opening": opening(report, sets),
        "labels": label_blocks(report, sets),
        "prompts": prompt_blocks(report, sets),
        "clusters": cluster_tiles(report, sets),
        "maps": embedding_maps(report, sets),
        "outliers": outlier_tiles(report),
        "charts": sections.charts(report),
        "confusions": confusions.confusions(report),
        "copies": sections.near_copies(report, sets),
        "attacked": sections.attacked(report),
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
    "privacy": ("Privacy", ("attacked",)),
    "utility": ("Usefulness", ("useful",)),
    "instrument": ("Instrument", ("instruments",)),
    "training": ("Training", ("charts", "shortages", "over_training")),
    "stages": ("Stages", ()),
    "recipe": ("Recipe", ()),
}
"""Anchor -> title, and the parts of which one has to be there; in the order of the page."""


def _groups(comparison: Comparison) -> list[list[Metric]]:
    """A metric per label, cluster or prompt; groups without any number are left out."""
    tables: dict[tuple[str, str, str], list[Metric]] = {}
    for metric in comparison.metrics:
        if metric.group != "all" and any(number.value is not None for number in metric.arms.values()):
            tables.setdefault((metric.extractor, metric.metric, metric.reference), []).append(metric)
    return list(tables.values())
