"""A comparison laid out as headings, rows and cells of text: what every table format draws."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

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
    sort: Any = None

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

    def turned(self) -> "Grid":
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


def grid(found: Comparison, *, transpose: bool = False, fields: bool = True) -> Grid:
    """One row an arm, one below it for its difference to the baseline, one a reference; fields and metrics across."""
    several = len(found.extractors) > 1
    names = list(found.fields) if fields else []
    texts = {name: shortened(found.fields[name], FIELD_WIDTH) if found.fields[name] else {} for name in names}
    headings = [Heading(plain(name), name, numeric=False) for name in names]
    headings += [Heading(one.title, one.id, plain(one.extractor) if several else "") for one in found.metrics]
    laid = Grid("arm", headings, list(_lines(found, texts)))
    return laid.turned() if transpose else laid


def _lines(found: Comparison, texts: dict[str, dict[str, str]]) -> Iterator[Line]:
    empty = [Cell("") for _ in texts]
    best = [metric.best for metric in found.metrics]
    for label in found.arms:
        absent = found.absent(label)
        own = [Cell(text.get(label, MISSING), sort=found.fields[name].get(label)) for name, text in texts.items()]
        numbers = [
            number_cell(metric.arms.get(label), absent, best=label in winners)
            for metric, winners in zip(found.metrics, best, strict=True)
        ]
        yield Line(Heading(plain(label), label), own + numbers)
        if found.has_differences and label != found.baseline:
            deltas = [difference_cell(metric, label) for metric in found.metrics]
            base = f"− {plain(found.baseline)}"
            yield Line(Heading(f"{plain(label)} {base}", label, short=base), empty + deltas, "difference")
    for title in found.references:
        numbers = [number_cell(metric.references.get(title), MISSING) for metric in found.metrics]
        if any(title in metric.references for metric in found.metrics):
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


def footnotes(found: Comparison) -> list[str]:
    """What stands under a table: missing stages, daggers that are shown, notes."""
    shown = {number.mark for metric in found.metrics for number in metric.arms.values()}
    lacking = [f"{plain(label)} has no {', '.join(stages)}." for label, stages in found.missing.items()]
    daggers = [f"†{letter} {text}" for letter, text in found.footnotes.items() if letter in shown]
    return [*lacking, *daggers, *found.notes]
