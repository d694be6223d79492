"""The comparison for a terminal or a log: as wide as there is room, in several blocks where that is too little."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mep.report.tables.comparison import MISSING, Comparison
from mep.report.tables.grid import Cell, Grid, Line, footnotes, grid
from mep.report.tables.verdict import verdict
from mep.report.text import plain

if TYPE_CHECKING:
    from rich.console import Group
    from rich.segment import Segment, Segments
    from rich.style import Style

WIDTH = 80
"""Columns where there is no terminal to ask."""
GAP = 2
NAME_WIDTH, HEADING_WIDTH = 26, 18
"""Characters of a line in the first column and in a heading; longer names go on in the next line."""


def as_rich(comparison: Comparison, *, width: int = WIDTH, transpose: bool = False) -> "Group":
    """What the numbers say, tables of `width` columns at most, and what they rest on."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Text | Segments] = [Text(" ".join(verdict(comparison))), Text("")]
    if extractors := comparison.extractors:
        spaces = ", ".join(map(plain, extractors[:4])) + (" and more" if len(extractors) > 4 else "")
        parts.append(Text(f"{spaces}, against held-out real images", style="bold"))
    layout = grid(comparison, transpose=transpose)
    if layout.headings:
        parts += _blocks(layout, width)
    return Group(*parts, *(Text(f"· {note}", style="dim") for note in footnotes(comparison)))


@dataclass(frozen=True)
class _Piece:
    """A line of a cell."""

    text: str
    style: str = ""


NOTHING = _Piece("")
Pieces = list[_Piece]


@dataclass(frozen=True)
class _Column:
    head: Pieces
    cells: list[Pieces]
    width: int
    numeric: bool


def _blocks(layout: Grid, width: int) -> "Iterator[Segments]":
    """As many columns a block as fit beside the names of the rows."""
    name_width = min(NAME_WIDTH, max(2, width // 3))
    names = [_folded(_row_name(line), name_width, _style(line)) for line in layout.lines]
    corner = [_Piece(layout.corner, "bold")]
    name_column = _Column(corner, names, _widest([corner, *names]), numeric=False)
    room = max(width - name_column.width - GAP, 8)
    block, used = [name_column], 0
    for number in range(len(layout.headings)):
        column = _column(layout, number)
        if used and used + column.width + GAP > room:
            yield _drawn(layout, block)
            block, used = [name_column], 0
        block.append(column)
        used += column.width + GAP
    yield _drawn(layout, block)


def _column(layout: Grid, number: int) -> _Column:
    heading = layout.headings[number]
    head = [*_folded(heading.above, HEADING_WIDTH, "dim"), *_folded(heading.text, HEADING_WIDTH, "bold")]
    cells = [_cell(line.cells[number], _style(line)) for line in layout.lines]
    return _Column(head, cells, _widest([head, *cells]), heading.numeric)


def _widest(cells: Iterable[Pieces]) -> int:
    from rich.cells import cell_len

    return max((cell_len(piece.text) for pieces in cells for piece in pieces), default=0)


def _cell(cell: Cell, style: str) -> Pieces:
    if len(cell.text) <= HEADING_WIDTH + 4:
        return [_Piece(cell.marked, "bold" if cell.best else style), *(_Piece(line, "dim") for line in cell.below)]
    return [*_folded(cell.marked, HEADING_WIDTH + 4, style), *(_Piece(line, "dim") for line in cell.below)]


def _style(line: Line) -> str:
    return "dim" if line.kind == "reference" else ""


def _row_name(line: Line) -> str:
    return f"  {line.heading.short}" if line.heading.short else line.heading.text


def _folded(text: str, width: int, style: str = "") -> Pieces:
    """Lines of a text, broken at spaces where there are some."""
    from rich.cells import cell_len, chop_cells

    if cell_len(text) <= width:
        return [_Piece(text, style)] if text else []
    indent = " " * (len(text) - len(text.lstrip()))
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += [indent + part for part in chop_cells(word, width - len(indent))]
    return [_Piece(line, style) for line in lines]


def _drawn(layout: Grid, block: list[_Column]) -> "Segments":
    """The lines of a block. rich.Table needs 1.5 s for ten thousand cells, three times as long as this."""
    from rich.segment import Segment, Segments

    segments = _row(block, [column.head for column in block])
    segments += [Segment("─" * (sum(column.width + GAP for column in block) - GAP)), Segment.line()]
    for number, line in enumerate(layout.lines):
        cells = [column.cells[number] for column in block]
        empty = all(pieces[0].text in ("", MISSING) for pieces in cells[1:] if pieces)
        if line.kind != "reference" or not empty:
            segments += _row(block, cells)
    return Segments([*segments, Segment.line()])


def _row(block: list[_Column], cells: list[Pieces]) -> "list[Segment]":
    """The lines that a row of cells takes."""
    from rich.cells import cell_len
    from rich.segment import Segment

    styles, segments = _styles(), []
    for number in range(max(map(len, cells))):
        text = ""  # neighbours without a style become a single segment
        for pieces, column in zip(cells, block, strict=True):
            piece = pieces[number] if number < len(pieces) else NOTHING
            space = " " * (column.width - cell_len(piece.text))
            before, after = (space, "") if column.numeric else ("", space)
            text += (" " * GAP if column is not block[0] else "") + before
            if piece.style:
                segments += [Segment(text), Segment(piece.text, styles[piece.style])]
                text = after
            else:
                text += piece.text + after
        segments += [Segment(text.rstrip()), Segment.line()]
    return segments


@cache
def _styles() -> "dict[str, Style]":
    from rich.style import Style

    return {"bold": Style(bold=True), "dim": Style(dim=True)}
