"""Many arms in a terminal: an arm a row, in several blocks where there is too little room for all columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, chop_cells
from rich.segment import Segment, Segments
from rich.style import Style

from mep.report.tables.comparison import MISSING
from mep.report.tables.grid import Cell, Grid, Line

GAP = 2
STYLES = {"bold": Style(bold=True), "dim": Style(dim=True)}
NAME_WIDTH, HEADING_WIDTH = 26, 18
"""Characters of a line in the first column and in a heading; longer names go on in the next line."""


Piece = tuple[str, str]
"""A line of a cell and its style."""


@dataclass(frozen=True)
class _Column:
    head: list[Piece]
    cells: list[list[Piece]]
    numeric: bool

    @cached_property
    def width(self) -> int:
        return max((cell_len(text) for pieces in [self.head, *self.cells] for text, _ in pieces), default=0)


def blocks(layout: Grid, width: int) -> Iterator[Segments]:
    """Tables of `width` columns at most, one below the other."""
    name_width = min(NAME_WIDTH, max(2, width // 3))
    names = [
        folded(f"  {line.heading.short}" if line.heading.short else line.heading.text, name_width, _style(line))
        for line in layout.lines
    ]
    name_column = _Column([(layout.corner, "bold")], names, numeric=False)
    room = max(width - name_column.width - GAP, 8)
    block, used = [name_column], 0
    for number, heading in enumerate(layout.headings):
        head = [*folded(heading.above, HEADING_WIDTH, "dim"), *folded(heading.text, HEADING_WIDTH, "bold")]
        cells = [_cell(line.cells[number], _style(line)) for line in layout.lines]
        column = _Column(head, cells, heading.numeric)
        if used and used + column.width + GAP > room:
            yield _drawn(layout, block)
            block, used = [name_column], 0
        block.append(column)
        used += column.width + GAP
    yield _drawn(layout, block)


def _cell(cell: Cell, style: str) -> list[Piece]:
    text, below = f"{cell.text} †{cell.mark}" if cell.mark else cell.text, [(line, "dim") for line in cell.below]
    if len(cell.text) <= HEADING_WIDTH + 4:
        return [(text, "bold" if cell.best else style), *below]
    return [*folded(text, HEADING_WIDTH + 4, style), *below]


def _style(line: Line) -> str:
    return "dim" if line.kind == "reference" else ""


def folded(text: str, width: int, style: str) -> list[Piece]:
    """Lines of a text, broken at spaces where there are some."""
    if cell_len(text) <= width:
        return [(text, style)] if text else []
    indent = " " * (len(text) - len(text.lstrip()))
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += [indent + part for part in chop_cells(word, width - len(indent))]
    return [(line, style) for line in lines]


def _drawn(layout: Grid, block: list[_Column]) -> Segments:
    """The lines of a block. rich.Table needs 1.5 s for ten thousand cells, three times as long as this."""
    segments = _row(block, [column.head for column in block])
    segments += [Segment("─" * (sum(column.width + GAP for column in block) - GAP)), Segment.line()]
    for line, *rows in zip(layout.lines, *(column.cells for column in block), strict=True):
        empty = all(pieces[0][0] in ("", MISSING) for pieces in rows[1:] if pieces)
        if line.kind != "reference" or not empty:
            segments += _row(block, rows)
    return Segments([*segments, Segment.line()])


def _row(block: list[_Column], cells: Sequence[list[Piece]]) -> list[Segment]:
    segments = []
    for number in range(max(map(len, cells))):
        line = ""  # neighbours without a style become a single segment
        for pieces, column in zip(cells, block, strict=True):
            text, style = pieces[number] if number < len(pieces) else ("", "")
            space = " " * (column.width - cell_len(text))
            line += (" " * GAP if column is not block[0] else "") + (space if column.numeric else "")
            if style:
                segments += [Segment(line), Segment(text, STYLES[style])]
                line = ""
            else:
                line += text
            line += "" if column.numeric else space
        segments += [Segment(line.rstrip()), Segment.line()]
    return segments
