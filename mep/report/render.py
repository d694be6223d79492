"""The comparison for a terminal, for a document and for a program; the same numbers in all three."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mep.report.sentences import verdict
from mep.report.table import Comparison, Row
from mep.report.text import difference_text, in_markdown, interval_text, plain, shortened

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

WIDTH = 80
"""Columns of a terminal that the tables fit."""

GAP = 2
NAME_WIDTH = 16
"""Characters of a line in a heading; longer names go on in the next line."""


def as_json(found: Comparison) -> str:
    """Every number as it was stored, with the protocol behind it, and as it is shown."""
    data = {
        "run_id": found.run_id,
        "name": found.name,
        "state": found.state,
        "verdict": verdict(found),
        "baseline": found.baseline,
        "arms": found.arms,
        "fields": found.fields,
        "scores": [_row_as_data(row, found) for row in found.rows],
        "missing": found.missing,
        "notes": found.notes,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)


def _row_as_data(row: Row, found: Comparison) -> dict[str, Any]:
    def numbers(of: dict[str, Any]) -> dict[str, Any]:
        names = ("value", "se", "n_real", "n_fake", "flags")
        return {
            title: {name: getattr(one, name) for name in names} | {"shown": _number(one)} for title, one in of.items()
        }

    return {
        "extractor": row.extractor,
        "metric": row.metric,
        "group": row.group,
        "better": row.better,
        "shown_times": row.scale,
        "arms": numbers(row.arms),
        "references": numbers(row.references),
        "best": [arm for arm in found.arms if arm in row.best],
        "differences": {
            arm: vars(delta) | {"shown": difference_text(delta, row.scale), "interval": interval_text(delta, row.scale)}
            for arm, delta in row.differences.items()
        },
        "no_difference": row.refusals,
    }


def as_markdown(found: Comparison) -> str:
    """A table for each extractor, for GitHub and everything else that knows pipe tables."""
    parts = [f"## {in_markdown(plain(found.name))}", in_markdown(" ".join(verdict(found)))]
    for extractor in found.extractors:
        rows = [row for row in found.rows if row.extractor == extractor]
        heading = [in_markdown(plain(extractor)), *(in_markdown(column) for column in _columns(found))]
        parts.append(_pipes(heading, [[in_markdown(row.title), *_markdown_cells(row, found)] for row in rows], "right"))
    if found.fields:
        body = [
            [in_markdown(plain(field)), *(in_markdown(text) for text in shortened(values).values())]
            for field, values in found.fields.items()
        ]
        parts.append(_pipes(["field", *map(in_markdown, found.arms)], body, "left"))
    parts.append("\n".join(f"- {in_markdown(note)}" for note in [*_missing(found), *found.notes]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _columns(found: Comparison) -> list[str]:
    """Headings after the metric: the baseline, every other arm with its difference, the references."""
    arms = [found.baseline]
    for arm in found.arms[1:]:
        arms += [arm, f"{arm} − {found.baseline} (95 % interval)"]
    return [*arms, *found.references]


def _markdown_cells(row: Row, found: Comparison) -> Iterator[str]:
    for arm in found.arms:
        yield _bold_number(row, arm) if arm in row.arms else "–"
        if arm in row.differences:
            delta = row.differences[arm]
            yield f"{difference_text(delta, row.scale)} ({interval_text(delta, row.scale)})"
        elif arm != found.baseline:
            yield "–"
    for title in found.references:
        yield _number(row.references[title]) if title in row.references else "–"


def _bold_number(row: Row, arm: str) -> str:
    number = row.arms[arm]
    value = f"**{number.text}**" if arm in row.best else number.text
    return f"{value} ± {number.se_text}" if number.se_text else value


def _number(number: Any) -> str:
    return f"{number.text} ± {number.se_text}" if number.se_text else str(number.text)


def _pipes(heading: list[str], body: list[list[str]], align: str) -> str:
    rules = ["---", *(["---:" if align == "right" else "---"] * (len(heading) - 1))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heading, rules, *body])


def _missing(found: Comparison) -> list[str]:
    return [f"{arm} has no {', '.join(lacking)}." for arm, lacking in found.missing.items()]


@dataclass(frozen=True)
class _Column:
    """A column of the terminal's tables: its heading and its cells, each a value and what stands below it."""

    heading: str
    cells: list[tuple[str, str]]
    bold: list[bool]

    @property
    def width(self) -> int:
        from rich.cells import cell_len

        heading = min(NAME_WIDTH, max(cell_len(line) for line in self.heading.split("\n")))
        return max([heading, *(max(cell_len(value), cell_len(below)) for value, below in self.cells)])


def as_rich(found: Comparison) -> "Group":
    """Tables of 80 columns at most, what the numbers say, and what they rest on."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(" ".join(verdict(found)))]
    for extractor in found.extractors:
        rows = [row for row in found.rows if row.extractor == extractor]
        parts.append(Text(f"\n{plain(extractor)}, against held-out real images", style="bold"))
        parts += [_table(rows, columns) for columns in _packed(rows, _rich_columns(rows, found))]
    if found.fields:
        parts += [Text("\nwhat differs in the recipe", style="bold"), _fields_table(found)]
    parts += [Text(""), *(Text(line, style="yellow") for line in _missing(found))]
    return Group(*parts, *(Text(f"· {note}", style="dim") for note in found.notes))


def _rich_columns(rows: list[Row], found: Comparison) -> Iterator[_Column]:
    for arm in found.arms:
        numbers = [row.arms.get(arm) for row in rows]
        yield _Column(arm, [_two_lines(number) for number in numbers], [arm in row.best for row in rows])
        if arm != found.baseline:
            deltas = [(row, row.differences.get(arm)) for row in rows]
            cells = [
                (difference_text(delta, row.scale), interval_text(delta, row.scale)) if delta else ("–", "")
                for row, delta in deltas
            ]
            yield _Column(f"{arm}\n− {found.baseline}", cells, [False] * len(rows))
    for title in found.references:
        yield _Column(
            "\n".join(textwrap.wrap(title, NAME_WIDTH - 4)),
            [_two_lines(row.references.get(title)) for row in rows],
            [False] * len(rows),
        )


def _two_lines(number: Any) -> tuple[str, str]:
    return ("–", "") if number is None else (number.text, f"± {number.se_text}" if number.se_text else "")


def _packed(rows: list[Row], columns: Iterator[_Column]) -> Iterator[list[_Column]]:
    """As many columns a table as fit beside the names of the metrics."""
    from rich.cells import cell_len

    room = WIDTH - max(cell_len(row.title) for row in rows) - 2 * GAP
    taken: list[_Column] = []
    for column in columns:
        if taken and sum(one.width + GAP for one in [*taken, column]) > room:
            yield taken
            taken = []
        taken.append(column)
    yield taken


def _table(rows: list[Row], columns: list[_Column]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(Text("metric"), no_wrap=True)
    for column in columns:
        table.add_column(Text(column.heading), justify="right", overflow="fold", width=column.width)
    for number, row in enumerate(rows):
        cells = [_cell(*column.cells[number], bold=column.bold[number]) for column in columns]
        table.add_row(Text(row.title), *cells)
    return table


def _cell(value: str, below: str, *, bold: bool) -> "Text":
    from rich.text import Text

    return Text.assemble((value, "bold" if bold else ""), (f"\n{below}" if below else "", "dim"))


def _fields_table(found: Comparison) -> "Table":
    """What the recipe says differently in the arms."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP, 0, 0), pad_edge=False, show_edge=False)
    for heading in ("field", "arm", "value"):
        table.add_column(Text(heading), overflow="fold", max_width=None if heading == "value" else 24)
    for field, values in found.fields.items():
        for place, (arm, text) in enumerate(shortened(values).items()):
            table.add_row(Text("" if place else plain(field)), Text(arm), Text(text))
    return table
