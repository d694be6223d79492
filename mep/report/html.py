"""The report as one HTML file: no script, no request, readable on a phone, printable."""

from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mep.artifacts import BaseModel, Images, Model, TrainingSet
from mep.files import write_text
from mep.report.data import RunReport
from mep.report.figures import N_COLOURS, interval_mark, line_chart, smoothed, window_for
from mep.report.gallery import NO_LABEL, cluster_tiles, outlier_tiles, real_tiles, sample_tiles
from mep.report.sentences import is_better, is_clear, verdict
from mep.report.table import NAMES, Comparison, Row, comparison
from mep.report.text import clipped, difference_text, interval_text, listed, plain
from mep.uncertainty import Z_95

SMALLEST_REACH = 3.0
"""Standard errors that the marks of differences reach at least, so that small ones look small."""


def write_html(report: RunReport, path: Path) -> None:
    """Write the page of a run, whole or not at all."""
    write_text(path, page(report))


def page(report: RunReport) -> str:
    from jinja2 import Environment

    template = resources.files("mep.report") / "templates" / "report.html.j2"
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"plain": plain, "clipped": lambda text, n: clipped(plain(text), n), "listed": listed}
    environment.filters |= {"seconds": seconds, "memory": memory, "lines": _lines, "fact": fact}
    found = comparison(report)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        report=report,
        comparison=found,
        verdict=verdict(found),
        extractors=[_score_table(found, extractor) for extractor in found.extractors],
        fields=found.fields,
        colour={arm: number % N_COLOURS for number, arm in enumerate(found.arms)},
        label_colour=_label_colours(report),
        real=real_tiles(report),
        samples=sample_tiles(report),
        clusters=cluster_tiles(report),
        outliers=outlier_tiles(report),
        charts=_charts(report),
        shortages=[(arms, one.shortage) for arms, one in report.sharing(TrainingSet) if one.shortage],
        total_s=sum(one.wall_s for one in report.stages if one.wall_s and one.state != "reused"),
    )


def _label_colours(report: RunReport) -> dict[str, int]:
    """One colour a label on the whole page, from the end of the palette that small numbers of arms leave free."""
    labels = dict.fromkeys(label for _, images in report.sharing(Images) for label in images.label_names)
    return {label: (3 + number) % N_COLOURS for number, label in enumerate([*labels, NO_LABEL])}


def _score_table(found: Comparison, extractor: str) -> dict[str, Any]:
    """Rows of one feature space as the template shows them."""
    rows = [row for row in found.rows if row.extractor == extractor]
    z = [abs(delta.value / delta.se) for row in rows for delta in row.differences.values() if delta.se > 0]
    reach = max([SMALLEST_REACH, *(value + Z_95 for value in z)])
    return {
        "name": extractor,
        "rows": [
            {"row": row, "name": NAMES.get(row.metric, ""), "differences": _differences(row, reach)} for row in rows
        ],
    }


def _differences(row: Row, reach: float) -> dict[str, dict[str, Any]]:
    shown = {}
    for arm, delta in row.differences.items():
        sign = 1 if is_better(delta, row) else -1
        meaning = "better" if sign > 0 else "worse"
        shown[arm] = {
            "value": difference_text(delta, row.scale),
            "interval": interval_text(delta, row.scale),
            "mark": interval_mark(sign * abs(delta.value) / delta.se, reach, Z_95) if delta.se > 0 else "",
            "meaning": meaning if is_clear(delta) else "undecided",
        }
    return shown


def _charts(report: RunReport) -> list[dict[str, Any]]:
    """Loss curves: of the autoencoder where the run trained one, and of the UNet of every arm."""
    logs = {
        "Autoencoder": [(arms, base.losses) for arms, base in report.sharing(BaseModel)],
        "UNet": [(arms, model.losses) for arms, model in report.sharing(Model)],
    }
    return [_chart(title, report, found) for title, found in logs.items() if any(losses for _, losses in found)]


def _chart(title: str, report: RunReport, logs: list[tuple[list[str], list[dict[str, Any]]]]) -> dict[str, Any]:
    places = {arm.name: place for place, arm in enumerate(report.arms)}
    curves = [
        smoothed(
            "all arms" if len(arms) == len(report.arms) > 1 else listed(arms),
            [(row["step"], row["loss"]) for row in losses],
            places[arms[0]],
        )
        for arms, losses in logs
        if losses
    ]
    svg = line_chart(curves, label="loss", description=f"{title} loss of {listed([one.name for one in curves])}")
    return {
        "title": title,
        "svg": svg,
        "curves": curves,
        "windows": sorted({window_for(len(losses)) for _, losses in logs if losses}),
    }


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
