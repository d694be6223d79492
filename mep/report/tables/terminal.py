"""The comparison for a terminal or a log: as wide as there is room, in several blocks where that is too little."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mep.report.tables.comparison import MISSING, Comparison
from mep.report.tables.grid import Cell, Grid, Line, footnotes, grid
from mep.report.tables.verdict import verdict
from mep.report.text import plain

if TYPE_CHECKING:
    from rich.console import Group

WIDTH = 80
"""Columns where there is no terminal to ask."""
GAP = 2
NAME_WIDTH, HEADING_WIDTH = 26, 18
"""Characters of a line in the first column and in a heading; longer names go on in the next line."""


def as_rich(found: Comparison, *, width: int = WIDTH, transpose: bool = False) -> "Group":
    """What the numbers say, tables of `width` columns at most, and what they rest on."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(" ".join(verdict(found))), Text("")]
    extractors = found.extractors
    if extractors:
        against = ", ".join(map(plain, extractors[:4])) + (" and more" if len(extractors) > 4 else "")
        parts.append(Text(f"{against}, against held-out real images", style="bold"))
    laid = grid(found, transpose=transpose)
    if laid.headings:
        parts += _blocks(laid, width)
    return Group(*parts, *(Text(f"· {note}", style="dim") for note in footnotes(found)))


@dataclass(frozen=True)
class _Piece:
    """A line of a cell."""

    text: str
    style: str = ""


Pieces = list[_Piece]


def _blocks(laid: Grid, width: int) -> Iterator[Any]:
    """As many columns a block as fit beside the names of the rows."""
    from rich.cells import cell_len

    name_width = min(NAME_WIDTH, max(2, width // 3))
    names = [_folded(_row_name(line), name_width, _style(line)) for line in laid.lines]
    names_wide = max([cell_len(laid.corner), *(cell_len(piece.text) for pieces in names for piece in pieces)])
    columns = [_column(laid, number) for number in range(len(laid.headings))]
    room = max(width - names_wide - GAP, 8)
    block: list[_Column] = []
    used = 0
    for column in columns:
        if block and used + column.width + GAP > room:
            yield _drawn(laid, names, names_wide, block)
            block, used = [], 0
        block.append(column)
        used += column.width + GAP
    yield _drawn(laid, names, names_wide, block)


@dataclass(frozen=True)
class _Column:
    head: Pieces
    cells: list[Pieces]
    width: int
    numeric: bool


def _column(laid: Grid, number: int) -> _Column:
    from rich.cells import cell_len

    heading = laid.headings[number]
    head = [*_folded(heading.above, HEADING_WIDTH, "dim"), *_folded(heading.text, HEADING_WIDTH, "bold")]
    cells = [_cell(line.cells[number], _style(line)) for line in laid.lines]
    widest = max(cell_len(piece.text) for pieces in [head, *cells] for piece in pieces or [_Piece("")])
    return _Column(head, cells, widest, heading.numeric)


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


def _drawn(laid: Grid, names: list[Pieces], names_wide: int, block: list[_Column]) -> Any:
    """The lines of a block as one renderable: rich's own tables take seconds for ten thousand cells."""
    from rich.cells import cell_len
    from rich.segment import Segment, Segments
    from rich.style import Style

    styles = {"bold": Style(bold=True), "dim": Style(dim=True)}
    found: list[Segment] = []

    def row(first: Pieces, cells: list[Pieces]) -> None:
        for number in range(max(map(len, [first, *cells]))):
            parts = [(_at(first, number), names_wide, False)]
            parts += [
                (_at(pieces, number), column.width, column.numeric) for pieces, column in zip(cells, block, strict=True)
            ]
            text = ""  # what has no style of its own becomes one segment
            for place, (piece, wide, right) in enumerate(parts):
                space = " " * (wide - cell_len(piece.text))
                text += (" " * GAP if place else "") + (space if right else "")
                if piece.style:
                    found.extend([Segment(text), Segment(piece.text, styles[piece.style])])
                    text = "" if right else space
                else:
                    text += piece.text + ("" if right else space)
            found.extend([Segment(text.rstrip()), Segment.line()])

    row([_Piece(laid.corner, "bold")], [column.head for column in block])
    found.append(Segment("─" * (names_wide + sum(column.width + GAP for column in block))))
    found.append(Segment.line())
    for number, first in enumerate(names):
        cells = [column.cells[number] for column in block]
        if laid.lines[number].kind != "reference" or any(one[0].text not in ("", MISSING) for one in cells if one):
            row(first, cells)
    found.append(Segment.line())
    return Segments(found)


def _at(pieces: Pieces, number: int) -> _Piece:
    return pieces[number] if number < len(pieces) else _Piece("")
