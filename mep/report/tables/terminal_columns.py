"""Columns of a table in a terminal: numbers of an arm, and differences with their pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len
from rich.text import Text

from mep.report.tables.comparison import Comparison
from mep.report.tables.interval_mark import interval_mark
from mep.report.tables.sheet import Contrast, Outcome, Row

STYLES: dict[Outcome, str] = {"better": "green", "worse": "red", "open": "", "none": ""}
GAP = "  "
BESIDE_INTERVALS = 1.25
"""Axis of a picture with real references to one without: its ends stay free for those that lie beyond."""


@dataclass(frozen=True)
class Cell:
    text: str = ""
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column; `heading` may have several lines, cells have one."""

    heading: list[str]
    cells: list[Cell]
    left: bool = False

    @cached_property
    def width(self) -> int:
        return max((cell_len(text) for text in (*self.heading, *(cell.text for cell in self.cells))), default=0)

    def padded(self, text: str) -> str:
        space = " " * (self.width - cell_len(text))
        return text + space if self.left else space + text


@dataclass(frozen=True)
class Detail:
    """What a table tells beside arms, difference and interval.

    errors      standard errors of the numbers
    p           p of the differences
    mark_width  characters of a picture, odd, so that zero is in the middle; 0 for none
    """

    errors: bool
    p: bool
    mark_width: int


def width_of(columns: Sequence[Column]) -> int:
    return sum(column.width + len(GAP) for column in columns if column.width) - len(GAP)


def head_of(columns: Sequence[Column]) -> Iterator[Text]:
    """The lines of the headings, which end in the same line."""
    depth = max(len(column.heading) for column in columns)
    headings = [[""] * (depth - len(column.heading)) + column.heading for column in columns]
    for number in range(depth):
        pairs = zip(columns, headings, strict=True)
        yield Text(_joined([column.padded(heading[number]) for column, heading in pairs]).rstrip(), style="bold")


def line_of(columns: Sequence[Column], number: int) -> Text:
    line = Text()
    for column in columns:
        if column.width:
            cell = column.cells[number]
            line.append((GAP if line else "") + column.padded(cell.text), style=cell.style)
    line.rstrip()
    return line


def _joined(texts: Sequence[str]) -> str:
    return GAP.join(text for text in texts if text)


def number_cell(row: Row, label: str, comparison: Comparison, errors: bool) -> Cell:
    number = row.values.get(label)
    if number is None:
        return Cell(comparison.absent(label), "dim")
    text = (number.shown if errors else number.text) + (f" †{number.mark}" if number.mark else "")
    return Cell(text, "bold" if label in row.metric.best else "")


def difference_columns(
    found: Sequence[tuple[Row, Contrast | None]], reach: float, detail: Detail, *, references: bool
) -> list[Column]:
    """Difference, interval, p and picture of what a line each has found.

    references  whether what real images reach is marked in the pictures
    """

    def column(heading: list[str], texts: Sequence[str], *, left: bool = False) -> Column:
        pairs = zip(texts, found, strict=True)
        cells = [Cell(text, STYLES[contrast.outcome] if contrast else "") for text, (_, contrast) in pairs]
        return Column(heading, cells, left)

    contrasts = [contrast for _, contrast in found]
    columns = [
        column(["differ-", "ence"], [contrast.difference if contrast else "" for contrast in contrasts]),
        column(["95 % interval"], [contrast.interval if contrast else "" for contrast in contrasts]),
    ]
    if detail.p:
        columns.append(column(["p"], [contrast.p if contrast else "" for contrast in contrasts]))
    if width := detail.mark_width:
        room = BESIDE_INTERVALS if references and any(row.references for row, _ in found) else 1.0
        marks = [
            interval_mark(contrast, reach * room, width, row.places(contrast) if references else ()) if contrast else ""
            for row, contrast in found
        ]
        heading = ["better →"] if width > 7 else ["better", f"{'→':>{width}}"]
        if width > 11:
            heading = [f"worse{'better':>{width - 5}}"]
        columns.append(column(heading, marks, left=True))
    return columns
