"""The comparison as Markdown: a pipe table, for GitHub and everything else that knows them."""

from collections.abc import Iterator

from mep.report.tables.assay import HEADINGS, assay_of
from mep.report.tables.comparison import Comparison
from mep.report.tables.grid import Cell, Grid, footnotes, grid
from mep.report.tables.interval_mark import interval_mark
from mep.report.tables.sheet import Row, Sheet, arms_in_rows, sheet
from mep.report.tables.verdict import verdict
from mep.report.text import in_markdown, plain

MARK_WIDTH = 13


def as_markdown(comparison: Comparison, *, transpose: bool | None = None) -> str:
    """The verdict, the table, and what it rests on.

    transpose   an arm a row, a metric a column; without an answer where there are many arms
    """
    parts = [f"## {in_markdown(plain(comparison.name))}", in_markdown(" ".join(verdict(comparison)))]
    layout = sheet(comparison)
    if arms_in_rows(layout, transpose):
        lines = list(_grid_lines(grid(comparison)))
    else:
        lines = list(_sheet_lines(layout, comparison))
    parts.append("\n".join("| " + " | ".join(cells) + " |" for cells in lines))
    if assay := assay_of(comparison):
        controls = [HEADINGS, ["---"] * len(HEADINGS), *(map(in_markdown, row.cells) for row in assay.rows)]
        parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in controls))
    parts.append("\n".join(f"- {in_markdown(note)}" for note in footnotes(comparison)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _sheet_lines(layout: Sheet, comparison: Comparison) -> Iterator[list[str]]:
    """A row a metric: arms, then the difference where there is one, else below the number of each arm."""
    if not layout.rows and not layout.settings:
        return
    single = len(layout.contrasted) == 1
    differences = ["difference", "95 % interval", "p", "better →"] if single else []
    head = ["metric", *map(plain, layout.arms), *differences, *layout.references]
    yield [in_markdown(text) for text in head]
    yield ["---", *(["---:"] * (len(head) - 1))]
    empty = [""] * (len(head) - 1)
    for field, values in layout.settings.items():
        arms = [in_markdown(values[label]) for label in layout.arms]
        yield [in_markdown(field), *arms, *empty[len(arms) :]]
    for group in layout.groups:
        yield [f"**{group.title}**: {group.asks}", *empty]
        for row in group.rows:
            arms = [_arm(row, label, comparison, below=not single) for label in layout.arms]
            numbers = (row.references.get(title) for title in layout.references)
            references = [in_markdown(number.shown) if number else "" for number in numbers]
            yield [in_markdown(row.name), *arms, *(_difference(row, layout.reach) if single else []), *references]


def _arm(row: Row, label: str, comparison: Comparison, *, below: bool) -> str:
    number = row.values.get(label)
    if number is None:
        return in_markdown(comparison.absent(label))
    text = _number(number.shown, label in row.metric.best, number.mark)
    contrast = next((contrast for contrast in row.contrasts if contrast.arm == label and contrast.delta), None)
    if contrast is None or not below:
        return text
    return f"{text}<br>{contrast.difference}<br>{in_markdown(contrast.interval)}<br>{in_markdown(contrast.p_told)}"


def _difference(row: Row, reach: float) -> list[str]:
    contrast = next((contrast for contrast in row.contrasts if contrast.delta), None)
    if contrast is None:
        return [""] * 4
    mark = f"`{interval_mark(contrast, reach, MARK_WIDTH).replace(' ', chr(0xA0))}`"
    return [contrast.difference, in_markdown(contrast.interval), in_markdown(contrast.p_told), mark]


def _grid_lines(layout: Grid) -> Iterator[list[str]]:
    """A row an arm."""
    if not layout.headings:
        return
    yield [in_markdown(layout.corner), *(in_markdown(heading.full) for heading in layout.headings)]
    yield ["---", *("---:" if heading.numeric else "---" for heading in layout.headings)]
    for line in layout.lines:
        yield [in_markdown(line.heading.full), *map(_cell, line.cells)]


def _cell(cell: Cell) -> str:
    text = _number(cell.text, cell.best, cell.mark)
    return text + "".join(f"<br>{in_markdown(line)}" for line in cell.below)


def _number(text: str, best: bool, mark: str) -> str:
    """31.2 ± 2.0, the value bold where it is the best, with the letter of its footnote."""
    value, sign, error = in_markdown(text).partition(" ± ")
    return (f"**{value}**" if best else value) + sign + error + (f" †{mark}" if mark else "")
