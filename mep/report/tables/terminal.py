"""The comparison for a terminal or a log: the verdict, one table as wide as there is room, and where to read on."""

from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mep.report.tables.assay import HEADINGS, Assay, assay_of
from mep.report.tables.comparison import Comparison
from mep.report.tables.grid import footnotes, grid, overview_grid, warnings
from mep.report.tables.overview import ON_ONE_SCREEN
from mep.report.tables.sheet import arms_in_rows, sheet
from mep.report.tables.terminal_grid import blocks
from mep.report.tables.terminal_sheet import drawn
from mep.report.tables.verdict import verdict
from mep.report.text import plain

WIDTH = 80
"""Columns where there is no terminal to ask."""
MOST_FIELDS = 2
"""Fields in which the arms differ that are told without being asked for."""


def as_rich(comparison: Comparison, *, width: int = WIDTH, transpose: bool | None = None, notes: bool = False) -> Group:
    """What the numbers say, a table of `width` columns at most, and on demand what they rest on.

    transpose   an arm a row, a metric a column; without an answer where there are many arms
    notes       everything that a reader could want to know; else only what keeps numbers from meaning what they seem to
    """
    layout = sheet(comparison)
    parts: list[RenderableType] = [Text(" ".join(verdict(comparison))), Text("")]
    if arms_in_rows(layout, transpose):
        parts += blocks(grid(comparison) if transpose else overview_grid(comparison), width)
    else:
        fields = list(layout.settings) if notes else list(layout.settings)[:MOST_FIELDS]
        parts += [Text(_setting(field, layout.settings[field]), style="dim") for field in fields]
        parts += drawn(layout, comparison, width)
    if assay := assay_of(comparison):
        parts += [Text(""), _controls(assay)]
        parts += [Text(f"{row.control}: {plain(row.why)}", style="dim") for row in assay.rows if row.why]
        parts.append(Text(""))
    told = footnotes(comparison) if notes else [*warnings(comparison), *comparison.privacy, *comparison.sight[:1]]
    parts += [Text(f"· {note}", style="dim") for note in told]
    if not notes and comparison.notes:
        parts.append(Text("What the numbers rest on: --notes", style="dim"))
    return Group(*parts)


def _controls(assay: Assay) -> Table:
    """The controls, a line each; why one tells nothing is in the sentence, or in a line of its own."""
    table = Table(*HEADINGS, box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for row in assay.rows:
        control, must, _, *rest = map(plain, row.cells)
        table.add_row(control, must, plain(row.showed), *rest)
    return table


def _setting(field: str, values: dict[str, str]) -> str:
    """A field in which the arms differ."""
    return f"{plain(field)}: {'; '.join(f'{plain(label)} {text}' for label, text in values.items())}"


def as_screen(comparison: Comparison, *, width: int = WIDTH, height: int = 20) -> Group:
    """The verdict, and as many of the metrics to look at first as fit `height` lines."""
    told = Text(" ".join(verdict(comparison)))
    room = height - 1 - len(told.wrap(Console(width=width), width))
    for n_metrics in range(len(ON_ONE_SCREEN), 0, -1):
        layout = sheet(comparison, only=ON_ONE_SCREEN[:n_metrics])
        layout = replace(layout, groups=[group for group in layout.groups if group.key not in ("opinion", "dataset")])
        table = drawn(layout, comparison, width, references=False)
        if len(table) <= room:
            break
    return Group(told, Text(""), *table)
