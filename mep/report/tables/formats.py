"""The comparison as Markdown, LaTeX, CSV and JSON; the same numbers in all of them."""

import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any

from mep.config import canonical_json
from mep.report.tables.comparison import Comparison, Metric, Number
from mep.report.tables.grid import Cell, Heading, Line, footnotes, grid
from mep.report.tables.verdict import verdict
from mep.report.text import MINUS, difference_text, in_markdown, interval_text, plain

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
LATEX |= {">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}
LATEX |= {MINUS: "$-$", "±": r"$\pm$", "×": r"$\times$", "↓": r"$\downarrow$", "↑": r"$\uparrow$"}
LATEX |= {"†": r"$\dagger$", "‡": r"$\ddagger$", "³": "$^3$", "…": r"\dots{}", "–": "--", "·": r"$\cdot$"}

FORMULA = re.compile(r"^[\s\x00]*[=+\-@\t\r]")
"""Text that a spreadsheet would take for a formula."""


def as_json(found: Comparison) -> str:
    """Every number as it was stored, with the protocol behind it, and as it is shown."""
    data = {
        "name": found.name,
        "runs": found.runs,
        "state": found.state,
        "verdict": verdict(found),
        "baseline": found.baseline,
        "arms": found.arms,
        "members": found.members,
        "fields": found.fields,
        "scores": [_metric_as_data(metric, found) for metric in found.metrics],
        "missing": found.missing,
        "footnotes": found.footnotes,
        "notes": found.notes,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)


def _metric_as_data(metric: Metric, found: Comparison) -> dict[str, Any]:
    def data(one: Number) -> dict[str, Any]:
        names = ("value", "se", "n_real", "n_fake", "flags", "protocol")
        more: dict[str, Any] = {"repeats": one.repeats} if one.repeats else {}
        more |= {"unlike": found.footnotes[one.mark]} if one.mark else {}
        return {name: getattr(one, name) for name in names} | more | {"shown": one.shown}

    return {
        "id": metric.id,
        "extractor": metric.extractor,
        "metric": metric.metric,
        "group": metric.group,
        "reference": metric.reference,
        "better": metric.better,
        "shown_times": metric.scale,
        "arms": {label: data(one) for label, one in metric.arms.items()},
        "references": {title: data(one) for title, one in metric.references.items()},
        "best": [label for label in found.arms if label in metric.best],
        "differences": {
            label: vars(delta)
            | {"p": delta.p, "shown": difference_text(delta, metric.scale)}
            | {"interval": interval_text(delta, metric.scale)}
            for label, delta in metric.differences.items()
        },
        "no_difference": metric.refusals,
    }


def as_csv(found: Comparison) -> str:
    """One line an arm or a reference, numbers to their last digit; text never begins like a formula."""
    metrics = found.metrics
    head: list[Any] = ["row", "runs", "state", *map(csv_cell, found.fields)]
    for metric in metrics:
        head += [csv_cell(metric.id), *(csv_cell(f"{metric.id} {part}") for part in _parts(found))]
    lines = [head]
    for label in found.arms:
        line: list[Any] = [csv_cell(label), csv_cell(" ".join(found.members[label])), found.states[label]]
        line += [csv_cell(values[label]) if label in values else None for values in found.fields.values()]
        for metric in metrics:
            line += _csv_number(metric, metric.arms.get(label), label, found)
        lines.append(line)
    for title in found.references:
        line = [csv_cell(title), None, "reference", *(None for _ in found.fields)]
        for metric in metrics:
            line += _csv_number(metric, metric.references.get(title), "", found)
        lines.append(line)
    return csv_text(lines)


def _parts(found: Comparison) -> list[str]:
    """Columns that follow a metric's own."""
    return ["se", *(["difference", "low", "high", "p"] if found.has_differences else []), "unlike"]


def _csv_number(metric: Metric, number: Number | None, label: str, found: Comparison) -> list[Any]:
    cells = [number.value, number.se] if number else [None, None]
    if found.has_differences:
        delta = metric.differences.get(label)
        cells += [delta.value, delta.low, delta.high, delta.p] if delta else [None] * 4
    return [*cells, csv_cell(found.footnotes[number.mark]) if number and number.mark else None]


def csv_cell(value: Any) -> Any:
    """A number as it is; a text that a spreadsheet shows as it is."""
    if value is None or isinstance(value, bool):
        return canonical_json(value)
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else canonical_json(value)
    return f"'{text}" if FORMULA.match(text) else text


def csv_text(lines: Iterable[list[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def long_rows(found: Comparison) -> list[dict[str, Any]]:
    """One row a number, with all of its protocol: what statistics packages read."""
    rows = []
    for metric in found.metrics:
        measured = [(label, label, one) for label, one in metric.arms.items()]
        for title, label, number in [*measured, *((title, "", one) for title, one in metric.references.items())]:
            delta = metric.differences.get(label)
            row: dict[str, Any] = {"row": title, "runs": " ".join(found.members.get(label, []))}
            row |= number.protocol | {"value": number.value, "se": number.se}
            row |= {"repeats": list(number.repeats) or None, "unlike": found.footnotes.get(number.mark)}
            row |= {"difference": delta.value, "low": delta.low, "high": delta.high} if delta else {}
            rows.append(row | ({"p": delta.p} if delta else {}))
    return rows


def long_csv(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[None if row.get(name) is None else csv_cell(row[name]) for name in names] for row in rows]
    return csv_text([[csv_cell(name) for name in names], *cells])


def as_markdown(found: Comparison, *, transpose: bool = False) -> str:
    """A pipe table, for GitHub and everything else that knows them."""
    laid = grid(found, transpose=transpose)
    head = [in_markdown(laid.corner), *(in_markdown(_full(heading)) for heading in laid.headings)]
    body = [[in_markdown(_full(line.heading)), *map(_markdown_cell, line.cells)] for line in laid.lines]
    parts = [f"## {in_markdown(plain(found.name))}", in_markdown(" ".join(verdict(found)))]
    if laid.headings:
        rules = ["---", *("---:" if heading.numeric else "---" for heading in laid.headings)]
        parts.append("\n".join("| " + " | ".join(cells) + " |" for cells in [head, rules, *body]))
    parts.append("\n".join(f"- {in_markdown(note)}" for note in footnotes(found)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _full(heading: Heading) -> str:
    return f"{heading.above}: {heading.text}" if heading.above else heading.text


def _markdown_cell(cell: Cell) -> str:
    text = in_markdown(cell.text)
    if cell.best:
        value, sign, error = text.partition(" ± ")
        text = f"**{value}**{sign}{error}"
    mark = f" †{cell.mark}" if cell.mark else ""
    return text + mark + "".join(f"<br>{in_markdown(line)}" for line in cell.below)


def as_latex(found: Comparison, *, transpose: bool = False) -> str:
    """A booktabs table; needs the packages booktabs and textcomp, and a UTF-8 engine for names beyond Latin."""
    laid = grid(found, transpose=transpose)
    columns = "l" + "".join("r" if heading.numeric else "l" for heading in laid.headings)
    head = [_tex(laid.corner), *(_tex(_full(heading)) for heading in laid.headings)]
    body: list[str] = []
    for number, line in enumerate(laid.lines):
        if line.kind == "reference" and number and laid.lines[number - 1].kind != "reference":
            body.append(r"\midrule")
        body += _latex_rows(line)
    notes = [rf"\item {_tex(note)}" for note in footnotes(found)]
    lines = [
        "% needs \\usepackage{booktabs,textcomp}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(' '.join(verdict(found)))}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\begin{itemize}\footnotesize", *notes, r"\end{itemize}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_rows(line: Line) -> list[str]:
    """A row, and one for each line of text below its cells."""
    depth = max((len(cell.below) for cell in line.cells), default=0)
    rows = [[_tex(_full(line.heading)), *map(_latex_cell, line.cells)]]
    for number in range(depth):
        below = [cell.below[number] if number < len(cell.below) else "" for cell in line.cells]
        rows.append(["", *(rf"{{\footnotesize {_tex(text)}}}" if text else "" for text in below)])
    return [" & ".join(cells) + r" \\" for cells in rows]


def _latex_cell(cell: Cell) -> str:
    value, sign, error = cell.text.partition(" ± ")
    text = rf"\textbf{{{_tex(value)}}}" if cell.best else _tex(value)
    return text + _tex(sign + error) + (rf"\textsuperscript{{$\dagger${cell.mark}}}" if cell.mark else "")


def _tex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
