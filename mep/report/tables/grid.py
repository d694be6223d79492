"""A comparison laid out as headings, rows and cells of text: what every table format draws."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from mep.report.tables.comparison import MISSING, Comparison, Metric, Number
from mep.report.text import difference_text, interval_text, p_text, plain, shortened

FIELD_WIDTH = 40
"""Characters of a recipe value in a table."""


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

    @property
    def marked(self) -> str:
        return f"{self.text} †{self.mark}" if self.mark else self.text


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


Kind = Literal["arm", "difference", "reference"]


@dataclass(frozen=True)
class Line:
    heading: Heading
    cells: list[Cell]
    kind: Kind = "arm"


@dataclass(frozen=True)
class Grid:
    corner: str
    headings: list[Heading]
    lines: list[Line] = field(default_factory=list)

    def transposed(self) -> "Grid":
        """Rows as columns; every column then keeps its kind in its heading."""
        lines = [
            Line(heading, [line.cells[column] for line in self.lines]) for column, heading in enumerate(self.headings)
        ]
        headings = [
            Heading(f"{line.heading.text} {self.corner_of(line)}".strip(), line.heading.id) for line in self.lines
        ]
        return Grid("metric", headings, lines)

    @staticmethod
    def corner_of(line: Line) -> str:
        return "(95 % interval)" if line.kind == "difference" else ""


def grid(comparison: Comparison, *, transpose: bool = False, fields: bool = True) -> Grid:
    """A row for every arm, below it its difference to the baseline, then a row for every reference."""
    several = len(comparison.extractors) > 1
    names = list(comparison.fields) if fields else []
    texts = {name: shortened(comparison.fields[name], FIELD_WIDTH) if comparison.fields[name] else {} for name in names}
    headings = [Heading(plain(name), name, numeric=False) for name in names]
    headings += [
        Heading(metric.title, metric.id, plain(metric.extractor) if several else "") for metric in comparison.metrics
    ]
    laid_out = Grid("arm", headings, list(_lines(comparison, texts)))
    return laid_out.transposed() if transpose else laid_out


def _lines(comparison: Comparison, texts: dict[str, dict[str, str]]) -> Iterator[Line]:
    empty = [Cell("") for _ in texts]
    best = [metric.best for metric in comparison.metrics]
    for label in comparison.arms:
        absent = comparison.absent(label)
        values = [
            Cell(text.get(label, MISSING), sort=comparison.fields[name].get(label)) for name, text in texts.items()
        ]
        numbers = [
            number_cell(metric.arms.get(label), absent, best=label in winners)
            for metric, winners in zip(comparison.metrics, best, strict=True)
        ]
        yield Line(Heading(plain(label), label), values + numbers)
        if comparison.has_differences and label != comparison.baseline:
            deltas = [difference_cell(metric, label) for metric in comparison.metrics]
            base = f"− {plain(comparison.baseline)}"
            yield Line(Heading(f"{plain(label)} {base}", label, short=base), empty + deltas, "difference")
    for title in comparison.references:
        numbers = [number_cell(metric.references.get(title), MISSING) for metric in comparison.metrics]
        if any(title in metric.references for metric in comparison.metrics):
            yield Line(Heading(title), empty + numbers, "reference")


def number_cell(number: Number | None, absent: str, *, best: bool = False) -> Cell:
    if number is None:
        return Cell(absent)
    return Cell(number.shown, best=best, mark=number.mark, sort=number.value)


def difference_cell(metric: Metric, label: str) -> Cell:
    delta = metric.differences.get(label)
    if delta is None:
        return Cell(MISSING)
    below = interval_text(delta, metric.scale), p_text(delta.p)
    return Cell(difference_text(delta, metric.scale), below, sort=delta.value)


def footnotes(comparison: Comparison) -> list[str]:
    """What stands under a table: missing stages, daggers that are shown, notes."""
    shown = {number.mark for metric in comparison.metrics for number in metric.arms.values()}
    missing = [f"{plain(label)} has no {', '.join(stages)}." for label, stages in comparison.missing.items()]
    daggers = [f"†{letter} {text}" for letter, text in comparison.footnotes.items() if letter in shown]
    return [*missing, *daggers, *comparison.notes]
