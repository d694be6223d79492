"""The comparison for a terminal or a log: as wide as there is room, in several blocks where that is too little."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, chop_cells
from rich.console import Group
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from mep.report.tables.assay import HEADINGS, Assay, assay_of
from mep.report.tables.comparison import MISSING, Comparison
from mep.report.tables.grid import Cell, Grid, Line, footnotes, grid
from mep.report.tables.verdict import verdict
from mep.report.text import plain

WIDTH = 80
"""Columns where there is no terminal to ask."""
GAP = 2
STYLES = {"bold": Style(bold=True), "dim": Style(dim=True)}
NAME_WIDTH, HEADING_WIDTH = 26, 18
"""Characters of a line in the first column and in a heading; longer names go on in the next line."""


def as_rich(comparison: Comparison, *, width: int = WIDTH, transpose: bool = False) -> Group:
    """What the numbers say, tables of `width` columns at most, and what they rest on."""
    parts: list[Text | Segments | Table] = [Text(" ".join(verdict(comparison))), Text("")]
    if assay := assay_of(comparison):
        parts += [_controls(assay), Text("")]
    if extractors := comparison.extractors:
        spaces = ", ".join(map(plain, extractors[:4])) + (" and more" if len(extractors) > 4 else "")
        parts.append(Text(f"{spaces}, against held-out real images", style="bold"))
    layout = grid(comparison, transpose=transpose)
    if layout.headings:
        parts += _blocks(layout, width)
    return Group(*parts, *(Text(f"· {note}", style="dim") for note in footnotes(comparison)))


def _controls(assay: Assay) -> Table:
    """The controls, a line each."""
    table = Table(*HEADINGS, box=None, padding=(0, GAP, 0, 0), header_style="bold")
    for row in assay.rows:
        table.add_row(*map(plain, row.cells))
    return table


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


def _blocks(layout: Grid, width: int) -> Iterator[Segments]:
    name_width = min(NAME_WIDTH, max(2, width // 3))
    names = [
        _folded(f"  {line.heading.short}" if line.heading.short else line.heading.text, name_width, _style(line))
        for line in layout.lines
    ]
    name_column = _Column([(layout.corner, "bold")], names, numeric=False)
    room = max(width - name_column.width - GAP, 8)
    block, used = [name_column], 0
    for number, heading in enumerate(layout.headings):
        head = [*_folded(heading.above, HEADING_WIDTH, "dim"), *_folded(heading.text, HEADING_WIDTH, "bold")]
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
    return [*_folded(text, HEADING_WIDTH + 4, style), *below]


def _style(line: Line) -> str:
    return "dim" if line.kind == "reference" else ""


def _folded(text: str, width: int, style: str) -> list[Piece]:
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
