"""Which rows and columns of a comparison are shown, and in which order."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import JsonValue

from mep.errors import UsageError
from mep.report.tables.comparison import Comparison, Metric
from mep.report.tables.notes import notes_of
from mep.report.text import plain

CONDITION = re.compile(r"^(?P<name>.+?)\s*(?P<sign>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)$", re.DOTALL)
T = TypeVar("T")

SIGNS: dict[str, Callable[[Any, Any], bool]] = {"=": operator.eq, "!=": operator.ne}
SIGNS |= {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class View:
    """
    columns     patterns of the columns to show, by field or metric id; without any: fields and an overview
    drop        patterns of columns to leave out
    where       conditions that a row must fulfil: `training.steps>=100`, `random_conv/fd<40`, `arm~mep`
    everything  without `columns`: all metrics, not only those of the overview
    sort        column to sort the rows by, the best or smallest first; with a minus the other way round
    """

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    sort: str = ""
    everything: bool = False

    def keeps(self, name: str, overview: bool) -> bool:
        """Whether a metric is shown, or asked for by a condition or the order; the others need not be compared."""
        bare = name.split("/")[-1]
        asked = any(bare in text for text in (*self.where, self.sort))
        patterns = [_pattern(text) for text in self.columns]
        shown = any(pattern.search(name) for pattern in patterns) if patterns else self.everything or overview
        return shown or asked


def select(comparison: Comparison, view: View) -> Comparison:
    """The part of a comparison that a view asks for.

    UsageError      a pattern, a condition or a column that means nothing here
    """
    labels = [label for label in comparison.arms if all(_holds(comparison, label, text) for text in view.where)]
    labels = _sorted(comparison, labels, view.sort) if view.sort else labels
    kept = set(labels)
    show = _chooser(comparison, view)
    shown = [metric for metric in comparison.metrics if show(metric.id, view.everything or metric.in_overview)]
    more = len(comparison.metrics) - len(shown) + len(comparison.hidden)
    hidden = [f"{more} more numbers, by label, cluster and prompt among them: --columns ."] if more else []
    return replace(
        comparison,
        arms=labels,
        fields={name: _only(values, kept) for name, values in comparison.fields.items() if show(name, True)},
        metrics=[
            replace(metric, arms={label: metric.arms[label] for label in labels if label in metric.arms})
            for metric in shown
        ],
        notes=[*notes_of(replace(comparison, metrics=shown)), *comparison.privacy, *comparison.sight, *hidden],
        missing=_only(comparison.missing, kept),
    )


def _only(of_labels: Mapping[str, T], kept: set[str]) -> dict[str, T]:
    return {label: value for label, value in of_labels.items() if label in kept}


def _chooser(comparison: Comparison, view: View) -> Callable[[str, bool], bool]:
    wanted, unwanted = ([_pattern(text) for text in texts] for texts in (view.columns, view.drop))
    names = [*comparison.fields, *(metric.id for metric in comparison.metrics), *comparison.hidden]
    for pattern in [*wanted, *unwanted]:
        if comparison.metrics and not any(pattern.search(name) for name in names):
            raise UsageError(f"no column matches '{pattern.pattern}'", hint=f"columns: {_first_few(names)}")

    def show(name: str, overall: bool) -> bool:
        chosen = any(pattern.search(name) for pattern in wanted) if wanted else overall
        return chosen and not any(pattern.search(name) for pattern in unwanted)

    return show


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"'{text}' is not a regular expression: {error}") from error


def _first_few(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def metric_named(comparison: Comparison, name: str) -> Metric | None:
    """By id, or by its name in the first extractor that has it."""
    by_id = [metric for metric in comparison.metrics if metric.id == name]
    by_name = [metric for metric in comparison.metrics if metric.id.split("/")[-1] == name]
    return next(iter(by_id or by_name), None)


def _values(comparison: Comparison, name: str) -> Mapping[str, JsonValue]:
    """Label -> what a row has under a name: its arm, run or state, a field, or a metric."""
    if name in ("run", "arm"):
        part = ("run", "arm").index(name)
        return {label: comparison.members[label][0].split("/")[part] for label in comparison.arms}
    if name == "state":
        return {label: comparison.states[label] for label in comparison.arms}
    if name in comparison.fields:
        return comparison.fields[name]
    metric = metric_named(comparison, name)
    if metric is None:
        names = ["arm", "run", "state", *comparison.fields, *(metric.id for metric in comparison.metrics)]
        raise UsageError(f"there is no column '{name}'", hint=f"columns: {_first_few(names)}")
    return {label: number.value for label, number in metric.arms.items()}


def _holds(comparison: Comparison, label: str, condition: str) -> bool:
    parts = CONDITION.match(condition)
    if parts is None:
        raise UsageError(f"'{condition}' is not a condition", hint="such as --where 'training.steps>=100'")
    name, sign, wanted = parts["name"].strip(), parts["sign"], parts["value"].strip()
    value = _values(comparison, name).get(label)
    if sign == "~":
        return value is not None and bool(_pattern(wanted).search(_text(value)))
    number = _number(wanted)
    if isinstance(value, int | float) and not isinstance(value, bool) and number is not None:
        return SIGNS[sign](value, number)
    if sign not in ("=", "!="):
        if value is None:
            return False
        if number is None or isinstance(value, str):
            raise UsageError(f"'{condition}': {name} is {plain(value)}, which has no order with '{wanted}'")
    return SIGNS[sign]("null" if value is None else _text(value), wanted)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else plain(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _sorted(comparison: Comparison, labels: list[str], column: str) -> list[str]:
    """Rows without a value come last, either way round."""
    name = column.removeprefix("-")
    values = _values(comparison, name)
    metric = None if name in comparison.fields else metric_named(comparison, name)
    backwards = column.startswith("-") != (metric is not None and metric.better == "higher")
    there = [label for label in labels if values.get(label) is not None]
    there.sort(key=lambda label: _order(values[label]), reverse=backwards)
    return [*there, *(label for label in labels if values.get(label) is None)]


def _order(value: JsonValue) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, plain(value))
