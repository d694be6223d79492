"""A comparison laid out as headings, rows and cells of text: what every table format draws."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import JsonValue

from mep.report.tables.comparison import MISSING, Comparison, Metric, Number
from mep.report.tables.overview import ON_ONE_SCREEN as FEW
from mep.report.tables.overview import group_of
from mep.report.tables.sheet import FIELD_WIDTH
from mep.report.text import difference_text, interval_text, p_text, plain, shortened


@dataclass(frozen=True)
class Cell:
    """
    text        31.2 ± 2.0, a difference, a recipe value, - or !
    below       what stands under it: the interval and p of a difference
    mark        letter of its footnote
    sort        what the cell is sorted by in a page
    """

    text: str
    below: tuple[str, ...] = ()
    best: bool = False
    mark: str = ""
    sort: JsonValue = None


@dataclass(frozen=True)
class Heading:
    """
    id          field or metric as --columns knows it
    above       the extractor, where a table has several
    short       what is enough right below the row that it belongs to
    """

    text: str
    id: str = ""
    above: str = ""
    short: str = ""
    numeric: bool = True

    @property
    def full(self) -> str:
        return f"{self.above}: {self.text}" if self.above else self.text


@dataclass(frozen=True)
class Line:
    heading: Heading
    cells: list[Cell]
    kind: Literal["arm", "difference", "reference"] = "arm"


@dataclass(frozen=True)
class Grid:
    corner: str
    headings: list[Heading]
    lines: list[Line]


def grid(comparison: Comparison) -> Grid:
    """A row for every arm, below it its difference to the baseline, then a row for every reference."""
    several = len(comparison.extractors) > 1
    headings = [Heading(plain(name), name, numeric=False) for name in comparison.fields]
    headings += [
        Heading(metric.title, metric.id, plain(metric.extractor) if several else "") for metric in comparison.metrics
    ]
    return Grid("arm", headings, [*_lines_of_arms(comparison), *_lines_of_references(comparison)])


def overview_grid(comparison: Comparison) -> Grid:
    """The same of many arms: the numbers alone, and of metrics that nobody chose only the first few."""
    metrics = comparison.metrics
    if all(metric.in_overview for metric in metrics):
        keys = [metric.key for metric in metrics]
        metrics = [
            one for one in metrics if one.metric in FEW and group_of(one.key, keys) not in ("opinion", "dataset")
        ]
    laid_out = grid(replace(comparison, metrics=metrics))
    return replace(laid_out, lines=[line for line in laid_out.lines if line.kind != "difference"])


def _lines_of_arms(comparison: Comparison) -> Iterator[Line]:
    fields, metrics = comparison.fields, comparison.metrics
    texts = {name: shortened(values, FIELD_WIDTH) if values else {} for name, values in fields.items()}
    base = f"− {plain(comparison.baseline)}"
    for label in comparison.arms:
        values = [Cell(text.get(label, MISSING), sort=fields[name].get(label)) for name, text in texts.items()]
        absent = comparison.absent(label)
        numbers = [_number_cell(metric.arms.get(label), absent, best=label in metric.best) for metric in metrics]
        yield Line(Heading(plain(label), label), values + numbers)
        if comparison.has_differences and label != comparison.baseline:
            cells = [Cell("") for _ in fields] + [_difference_cell(metric, label) for metric in metrics]
            yield Line(Heading(f"{plain(label)} {base}", label, short=base), cells, "difference")


def _lines_of_references(comparison: Comparison) -> Iterator[Line]:
    for title in comparison.references:
        if any(title in metric.references for metric in comparison.metrics):
            numbers = [_number_cell(metric.references.get(title), MISSING) for metric in comparison.metrics]
            yield Line(Heading(title), [Cell("") for _ in comparison.fields] + numbers, "reference")


def _number_cell(number: Number | None, absent: str, *, best: bool = False) -> Cell:
    return Cell(number.shown, best=best, mark=number.mark, sort=number.value) if number else Cell(absent)


def _difference_cell(metric: Metric, label: str) -> Cell:
    delta = metric.differences.get(label)
    if delta is None:
        return Cell(MISSING)
    below = interval_text(delta, metric.scale), p_text(delta.p)
    return Cell(difference_text(delta, metric.scale), below, sort=delta.value)


def footnotes(comparison: Comparison) -> list[str]:
    """What stands under a table: missing stages, daggers that are shown, notes."""
    return [*warnings(comparison), *comparison.notes]


def warnings(comparison: Comparison) -> list[str]:
    """What keeps numbers from meaning what they seem to: missing stages, and daggers that are shown."""
    shown = {number.mark for metric in comparison.metrics for number in metric.arms.values()}
    missing = [f"{plain(label)} has no {', '.join(stages)}." for label, stages in comparison.missing.items()]
    daggers = [f"†{letter} {text}" for letter, text in comparison.footnotes.items() if letter in shown]
    return [*missing, *daggers]
