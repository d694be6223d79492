"""A sheet as lines of a terminal: arms side by side where there is room, else an arm a line below its metric."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, chop_cells
from rich.text import Text

from mep.report.tables.comparison import Comparison, Number
from mep.report.tables.interval_mark import interval_mark
from mep.report.tables.sheet import Contrast, Outcome, Row, RowGroup, Sheet
from mep.report.text import plain

STYLES: dict[Outcome, str] = {"better": "green", "worse": "red", "open": "", "none": ""}
GAP = "  "
NAME_WIDTH, LABEL_WIDTH = 24, 24
"""Characters of a metric's name and of an arm's; longer ones go on in the next line, or are cut."""
MARK_WIDTHS = (13, 9)
"""Characters of a picture, where there is room and where there is little; odd, so that zero is in the middle."""


@dataclass(frozen=True)
class _Cell:
    text: str = ""
    style: str = ""


@dataclass(frozen=True)
class _Column:
    """A column; `heading` may have several lines, cells have one."""

    heading: list[str]
    cells: list[_Cell]
    left: bool = False

    @cached_property
    def width(self) -> int:
        return max((cell_len(text) for text in (*self.heading, *(cell.text for cell in self.cells))), default=0)

    def padded(self, text: str) -> str:
        space = " " * (self.width - cell_len(text))
        return text + space if self.left else space + text


@dataclass(frozen=True)
class _Shape:
    """What a table shows beside arms, difference and interval; the first shape that fits is taken."""

    errors: bool
    references: bool
    p: bool
    mark_width: int
    label_width: int = 11


SHAPES = (
    _Shape(True, True, True, MARK_WIDTHS[0]),
    _Shape(False, True, True, MARK_WIDTHS[0]),
    _Shape(True, False, True, MARK_WIDTHS[0]),
    _Shape(False, False, True, MARK_WIDTHS[0]),
    _Shape(False, False, True, MARK_WIDTHS[1]),
    _Shape(False, False, True, MARK_WIDTHS[1], label_width=6),
    _Shape(False, False, False, MARK_WIDTHS[1], label_width=6),
    _Shape(False, False, False, 0, label_width=6),
)


def drawn(layout: Sheet, comparison: Comparison, width: int, *, references: bool = True) -> list[Text]:
    """Every line of the table.

    references  whether what real images reach is told below each group where it has no columns
    """
    if not layout.rows:
        return []
    if len(layout.contrasted) < 2:
        for shape in SHAPES:
            columns = _side_by_side(layout, comparison, shape)
            if _width(columns) <= width:
                return list(_lines(layout, columns, width, references and not shape.references))
    for errors, p, mark_width in ((True, True, 13), (False, True, 13), (False, True, 9), (False, False, 9)):
        stacked = list(_stacked(layout, comparison, errors, p, mark_width, references))
        if max(cell_len(line.plain) for line in stacked if not line.no_wrap) <= width:
            break
    return stacked


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width + len(GAP) for column in columns if column.width) - len(GAP)


def _side_by_side(layout: Sheet, comparison: Comparison, shape: _Shape) -> list[_Column]:
    """A line a metric."""
    rows = layout.rows
    columns = [_Column(["metric"], [_Cell(row.name) for row in rows], left=True)]
    for label in layout.arms:
        cells = [_number(row, label, comparison, shape.errors) for row in rows]
        width = max(shape.label_width, *(cell_len(cell.text) for cell in cells))
        columns.append(_Column(folded_label(plain(label), width), cells))
    contrasts = [row.contrasts[0] if row.contrasts else None for row in rows]
    if layout.contrasted:
        columns += _difference_columns(contrasts, layout.reach, shape)
    if shape.references:
        for title in layout.references:
            cells = [_Cell(row.references[title].text if title in row.references else "", "dim") for row in rows]
            columns.append(_Column(folded_label(title, 10), cells))
    return columns


def _difference_columns(contrasts: Sequence[Contrast | None], reach: float, shape: _Shape) -> list[_Column]:
    def cells(texts: Sequence[str]) -> list[_Cell]:
        pairs = zip(texts, contrasts, strict=True)
        return [_Cell(text, STYLES[contrast.outcome] if contrast else "") for text, contrast in pairs]

    columns = [
        _Column(["differ-", "ence"], cells([contrast.difference if contrast else "" for contrast in contrasts])),
        _Column(["95 % interval"], cells([contrast.interval if contrast else "" for contrast in contrasts])),
    ]
    if shape.p:
        columns.append(_Column(["p"], cells([contrast.p if contrast else "" for contrast in contrasts])))
    if width := shape.mark_width:
        marks = [interval_mark(contrast, reach, width) if contrast else "" for contrast in contrasts]
        columns.append(
            _Column([f"worse{'better':>{width - 5}}" if width > 11 else "better →"], cells(marks), left=True)
        )
    return columns


def _number(row: Row, label: str, comparison: Comparison, errors: bool) -> _Cell:
    number = row.values.get(label)
    if number is None:
        return _Cell(comparison.absent(label), "dim")
    return _Cell(_shown(number, errors), "bold" if label in row.metric.best else "")


def _shown(number: Number, errors: bool) -> str:
    return (number.shown if errors else number.text) + (f" †{number.mark}" if number.mark else "")


def _lines(layout: Sheet, columns: list[_Column], width: int, references: bool) -> Iterator[Text]:
    columns = [column for column in columns if column.width]
    depth = max(len(column.heading) for column in columns)
    for number in range(depth):
        texts = [
            column.heading[number - depth + len(column.heading)] if number >= depth - len(column.heading) else ""
            for column in columns
        ]
        cells = [column.padded(text) for column, text in zip(columns, texts, strict=True)]
        yield Text(GAP.join(cells).rstrip(), style="bold")
    number = 0
    for group in layout.groups:
        yield _heading(group, width)
        for _ in group.rows:
            yield _line([(column, column.cells[number]) for column in columns])
            number += 1
        if references:
            yield from _references(group, layout.references)


def _line(cells: Sequence[tuple[_Column, _Cell]]) -> Text:
    line = Text()
    for number, (column, cell) in enumerate(cells):
        line.append((GAP if number else "") + column.padded(cell.text), style=cell.style)
    line.rstrip()
    return line


def _heading(group: RowGroup, width: int) -> Text:
    text = Text(f"{group.title}: ", style="bold").append(group.asks, style="not bold")
    text.truncate(width, overflow="ellipsis")
    text.no_wrap = True
    return text


def _references(group: RowGroup, titles: Sequence[str]) -> Iterator[Text]:
    """What real images reach, in a line below the group."""
    for title in titles:
        found = [
            f"{row.name.partition(' ↑')[0].partition(' ↓')[0]} {row.references[title].text}"
            for row in group.rows
            if title in row.references
        ]
        if found:
            text = Text(f"  {plain(title)}: {', '.join(found)}", style="dim")
            text.no_wrap = True
            yield text


def _stacked(
    layout: Sheet, comparison: Comparison, errors: bool, p: bool, mark_width: int, references: bool
) -> Iterator[Text]:
    """An arm a line, the metric's name in front of the first."""
    names, labels, numbers, contrasts = [], list[str](), list[_Cell](), list[Contrast | None]()
    ends = list[int]()
    for row in layout.rows:
        of_arm = {contrast.arm: contrast for contrast in row.contrasts}
        names += [row.name, *([""] * (len(layout.arms) - 1))]
        labels += [plain(label) for label in layout.arms]
        numbers += [_number(row, label, comparison, errors) for label in layout.arms]
        contrasts += [of_arm.get(label) for label in layout.arms]
        titles = [title for title in layout.references if title in row.references] if references else []
        names += [""] * len(titles)
        labels += titles
        numbers += [_Cell(_shown(row.references[title], errors), "dim") for title in titles]
        contrasts += [None] * len(titles)
        ends.append(len(names))
    shape = _Shape(errors, False, p, mark_width)
    columns = [
        _Column(["metric"], [_Cell(name) for name in names], left=True),
        _Column(
            ["arm"],
            [
                _Cell(_cut(label), number.style if number.style == "dim" else "")
                for label, number in zip(labels, numbers, strict=True)
            ],
            left=True,
        ),
        _Column([""], numbers),
        *(_difference_columns(contrasts, layout.reach, shape) if layout.contrasted else []),
    ]
    return _stacked_lines(layout, columns, ends)


def _stacked_lines(layout: Sheet, columns: list[_Column], ends: list[int]) -> Iterator[Text]:
    columns = [column for column in columns if column.width]
    heads = ["".join(column.heading).replace("-ence", "ence") for column in columns]
    yield Text(
        GAP.join(column.padded(head) for column, head in zip(columns, heads, strict=True)).rstrip(), style="bold"
    )
    first, number = 0, 0
    for group in layout.groups:
        yield _heading(group, 10_000)
        for _ in group.rows:
            for line in range(first, ends[number]):
                yield _line([(column, column.cells[line]) for column in columns])
            first, number = ends[number], number + 1


def _cut(label: str) -> str:
    return label if cell_len(label) <= LABEL_WIDTH else chop_cells(label, LABEL_WIDTH - 1)[0] + "…"


def folded_label(label: str, width: int) -> list[str]:
    """Lines of a name, broken behind spaces and hyphens, and within a word only where it is too long."""
    lines: list[str] = []
    for word in re.findall(r"[^ _/-]+[ _/-]*|[ _/-]+", label):
        if lines and cell_len((lines[-1] + word).rstrip()) <= width:
            lines[-1] += word
        else:
            lines += (
                chop_cells(word.rstrip() if word.endswith(" ") else word, width)
                if cell_len(word.rstrip()) > width
                else [word]
            )
    return [line.rstrip() for line in lines] or [""]
