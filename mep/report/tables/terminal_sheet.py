"""A sheet as lines of a terminal: arms side by side where there is room, else an arm a line below its metric."""

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, chop_cells
from rich.text import Text

from mep.report.tables.comparison import Comparison
from mep.report.tables.interval_mark import REFERENCE
from mep.report.tables.sheet import RowGroup, Sheet
from mep.report.tables.terminal_columns import (
    Cell,
    Column,
    Detail,
    difference_columns,
    head_of,
    line_of,
    number_cell,
    width_of,
)
from mep.report.text import plain

LABEL_WIDTHS, MOST_FOLDS = (40, 24), 3
"""Characters of an arm's name in a line, where there is room and where not, and lines of one above a column."""

BESIDE = (
    (Detail(True, True, 13), True, 11),
    (Detail(False, True, 13), True, 11),
    (Detail(True, True, 13), False, 11),
    (Detail(False, True, 13), False, 11),
    (Detail(False, True, 9), False, 11),
    (Detail(False, True, 9), False, 6),
    (Detail(False, True, 7), False, 6),
    (Detail(False, True, 0), False, 6),
    (Detail(False, False, 0), False, 6),
)
"""Arms side by side: what is told, whether real references have columns, characters of an arm's name."""
BELOW = (
    *((Detail(errors, True, width), False) for errors, width in ((True, 13), (False, 13), (False, 9), (False, 7))),
    *((Detail(errors, True, width), True) for errors, width in ((True, 13), (False, 13), (False, 9), (False, 7))),
    (Detail(False, True, 0), True),
)
"""An arm a line: what is told, whether the name of a metric has a line of its own."""


def drawn(layout: Sheet, comparison: Comparison, width: int, *, references: bool = True) -> list[Text]:
    """Every line of the table, in the first shape that fits.

    references  whether what real images reach is told and marked where it has no columns
    """
    if not layout.rows:
        return []
    if len(layout.contrasted) < 2:
        for detail, in_columns, label_width in BESIDE:
            marked = references or in_columns
            columns = _side_by_side(layout, comparison, detail, label_width, references=marked)
            columns += _reference_columns(layout) if in_columns else []
            if width_of(columns) <= width and max(len(column.heading) for column in columns) <= MOST_FOLDS:
                return list(_lines(layout, columns, width, references and not in_columns))
    shapes = [(*shape, label_width) for label_width in LABEL_WIDTHS for shape in BELOW]
    shapes.append((Detail(False, False, 0), True, LABEL_WIDTHS[1]))
    for detail, above, label_width in shapes:
        columns = _stacked(layout, comparison, detail, label_width, above=above, references=references)
        if width_of(columns) <= width:
            break
    return list(_stacked_lines(layout, columns, width, above=above, references=references))


def _side_by_side(
    layout: Sheet, comparison: Comparison, detail: Detail, label_width: int, *, references: bool
) -> list[Column]:
    """A line a metric."""
    rows = layout.rows
    columns = [Column(["metric"], [Cell(row.name) for row in rows], left=True)]
    for label in layout.arms:
        cells = [number_cell(row, label, comparison, detail.errors) for row in rows]
        width = max(label_width, *(cell_len(cell.text) for cell in cells))
        columns.append(Column(folded_label(plain(label), width), cells))
    if layout.contrasted:
        found = [(row, row.contrasts[0] if row.contrasts else None) for row in rows]
        columns += difference_columns(found, layout.reach, detail, references=references)
    return columns


def _reference_columns(layout: Sheet) -> list[Column]:
    return [
        Column(
            folded_label(title, len("autoencoder")),
            [Cell(row.references[title].text if title in row.references else "", "dim") for row in layout.rows],
        )
        for title in layout.references
    ]


def _lines(layout: Sheet, columns: list[Column], width: int, references: bool) -> Iterator[Text]:
    yield from head_of(columns)
    number = 0
    for group in layout.groups:
        yield _heading(group, width)
        for _ in group.rows:
            yield line_of(columns, number)
            number += 1
        if references:
            yield from _references(group, layout.references, width)


def _stacked(
    layout: Sheet, comparison: Comparison, detail: Detail, label_width: int, *, above: bool, references: bool
) -> list[Column]:
    """An arm a line, the metric's name in front of the first or in a line of its own."""
    lines = [(row, label) for row in layout.rows for label in layout.arms]
    names = [Cell(row.name if label == layout.arms[0] else "") for row, label in lines]
    columns = [] if above else [Column(["metric"], names, left=True)]
    columns += [
        Column(
            ["  arm" if above else "arm"],
            [Cell("  " * above + _cut(plain(label), label_width)) for _, label in lines],
            left=True,
        ),
        Column([""], [number_cell(row, label, comparison, detail.errors) for row, label in lines]),
    ]
    if layout.contrasted:
        found = [
            (row, next((contrast for contrast in row.contrasts if contrast.arm == label), None)) for row, label in lines
        ]
        columns += difference_columns(found, layout.reach, detail, references=references)
    return columns


def _stacked_lines(
    layout: Sheet, columns: list[Column], width: int, *, above: bool, references: bool
) -> Iterator[Text]:
    yield from head_of(columns)
    number = 0
    for group in layout.groups:
        yield _heading(group, width)
        for row in group.rows:
            if above:
                yield _cropped(Text(row.name), width)
            for _ in layout.arms:
                yield line_of(columns, number)
                number += 1
        if references:
            yield from _references(group, layout.references, width)


def _heading(group: RowGroup, width: int) -> Text:
    return _cropped(Text(f"{group.title}: ", style="bold").append(group.asks, style="not bold"), width)


def _cropped(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    text.no_wrap = True
    return text


def _references(group: RowGroup, titles: Sequence[str], width: int) -> Iterator[Text]:
    """What real images reach, in lines below the group."""
    for title in titles:
        found = [
            f"{row.name.partition(' ↑')[0].partition(' ↓')[0]} {row.references[title].text}"
            for row in group.rows
            if title in row.references
        ]
        line = f"{REFERENCE} {plain(title)}:"
        for number, text in enumerate(found):
            text += "," if number < len(found) - 1 else ""
            if cell_len(f"{line} {text}") > width:
                yield _cropped(Text(line, style="dim"), width)
                line = " "
            line += f" {text}"
        if found:
            yield _cropped(Text(line, style="dim"), width)


def _cut(label: str, width: int) -> str:
    """The middle of a long name is left out: its end tells arms of several runs apart."""
    if cell_len(label) <= width:
        return label
    half = width // 2
    return f"{chop_cells(label, half - 1)[0]}…{chop_cells(label[::-1], half)[0][::-1]}"


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
