"""The comparison as CSV and JSON, for machines: every number as it was stored."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from pydantic import JsonValue

from mep.artifacts.score_row import JsonObject
from mep.config import canonical_json
from mep.report.tables.assay import assay_of
from mep.report.tables.comparison import Comparison, Delta, Metric, Number
from mep.report.tables.verdict import verdict
from mep.report.text import difference_text, interval_text

CsvCell = str | int | float | None

FORMULA = re.compile(r"^[\s\x00]*[=+\-@\t\r]")
"""Text that a spreadsheet would take for a formula."""


def as_json(comparison: Comparison) -> str:
    """Every number as it was stored, with the protocol behind it, and as it is shown."""
    data = {
        "name": comparison.name,
        "runs": comparison.runs,
        "state": comparison.state,
        "verdict": verdict(comparison),
        "assay": asdict(assay) if (assay := assay_of(comparison)) else None,
        "baseline": comparison.baseline,
        "arms": comparison.arms,
        "members": comparison.members,
        "fields": comparison.fields,
        "scores": [_metric_as_data(metric, comparison) for metric in comparison.metrics],
        "missing": comparison.missing,
        "footnotes": comparison.footnotes,
        "notes": comparison.notes,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)


def _metric_as_data(metric: Metric, comparison: Comparison) -> JsonObject:
    def data(number: Number) -> JsonObject:
        score = number.score
        row: JsonObject = {"value": number.value, "se": number.se, "n_real": score.n_real, "n_fake": score.n_fake}
        row |= {"flags": score.kind.flags, "protocol": score.as_json()}
        row |= {"repeats": number.repeats} if number.repeats else {}
        row |= {"unlike": comparison.footnotes[number.mark]} if number.mark else {}
        return row | {"shown": number.shown}

    def difference(delta: Delta) -> JsonObject:
        shown = {"shown": difference_text(delta, metric.scale), "interval": interval_text(delta, metric.scale)}
        return vars(delta) | shown

    names = ("id", "extractor", "metric", "group", "reference", "better")
    return {name: getattr(metric, name) for name in names} | {
        "shown_times": metric.scale,
        "arms": {label: data(number) for label, number in metric.arms.items()},
        "references": {title: data(number) for title, number in metric.references.items()},
        "best": [label for label in comparison.arms if label in metric.best],
        "differences": {label: difference(delta) for label, delta in metric.differences.items()},
        "no_difference": metric.refusals,
    }


def as_csv(comparison: Comparison) -> str:
    """One line an arm or a reference, numbers to their last digit; text never begins like a formula."""
    parts = ["se", *(["difference", "low", "high", "p"] if comparison.has_differences else []), "unlike"]
    head: list[CsvCell] = ["row", "runs", "state", *map(csv_cell, comparison.fields)]
    for metric in comparison.metrics:
        head += [csv_cell(metric.id), *(csv_cell(f"{metric.id} {part}") for part in parts)]
    lines = [head]
    for label in comparison.arms:
        fields = [csv_cell(values[label]) if label in values else None for values in comparison.fields.values()]
        numbers = [(metric.arms.get(label), metric.differences.get(label)) for metric in comparison.metrics]
        runs = csv_cell(" ".join(comparison.members[label]))
        lines.append([csv_cell(label), runs, comparison.states[label], *fields, *_csv_numbers(numbers, comparison)])
    for title in comparison.references:
        fields = [None for _ in comparison.fields]
        references = [(metric.references.get(title), None) for metric in comparison.metrics]
        lines.append([csv_cell(title), None, "reference", *fields, *_csv_numbers(references, comparison)])
    return csv_text(lines)


def _csv_numbers(numbers: Iterable[tuple[Number | None, Delta | None]], comparison: Comparison) -> Iterator[CsvCell]:
    for number, delta in numbers:
        yield from (number.value, number.se) if number else (None, None)
        if comparison.has_differences:
            yield from (delta.value, delta.low, delta.high, delta.p) if delta else [None] * 4
        yield csv_cell(comparison.footnotes[number.mark]) if number and number.mark else None


def csv_cell(value: JsonValue) -> CsvCell:
    """A number as it is; a text that a spreadsheet shows as it is."""
    if value is None or isinstance(value, bool):
        return canonical_json(value)
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else canonical_json(value)
    return f"'{text}" if FORMULA.match(text) else text


def csv_text(lines: Iterable[list[CsvCell]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def long_rows(comparison: Comparison) -> list[JsonObject]:
    """One row a number, with all of its protocol: what statistics packages read."""
    rows = []
    for metric in comparison.metrics:
        of_arms = [(label, label, number) for label, number in metric.arms.items()]
        of_references = [(title, "", number) for title, number in metric.references.items()]
        for title, label, number in [*of_arms, *of_references]:
            delta = metric.differences.get(label)
            row: JsonObject = {"row": title, "runs": " ".join(comparison.members.get(label, []))}
            row |= number.score.as_json() | {"value": number.value, "se": number.se}
            row |= {"repeats": list(number.repeats) or None, "unlike": comparison.footnotes.get(number.mark)}
            test = {"difference": delta.value, "low": delta.low, "high": delta.high, "p": delta.p} if delta else {}
            rows.append(row | test)
    return rows


def long_csv(rows: list[JsonObject]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[None if row.get(name) is None else csv_cell(row[name]) for name in names] for row in rows]
    return csv_text([[csv_cell(name) for name in names], *cells])
