"""The comparison as one table: a row is a metric, a column an arm, then difference, interval, p and a picture.

Terminal, Markdown, LaTeX and the page draw the same sheet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mep.recipe.controls import is_control
from mep.report.tables.comparison import Comparison, Delta, Metric, Number
from mep.report.tables.overview import GROUPS, MEMBERS, group_of
from mep.report.tables.row_names import names_of, title_of
from mep.report.text import bracketed, difference_text, shortened
from mep.statistics.intervals import Z_95

Outcome = Literal["better", "worse", "open", "none"]
"""What the interval of a difference says: better or worse where it leaves zero out; none where there is no interval."""

SMALLEST_REACH, LARGEST_REACH = 3.0, 12.0
"""Standard errors from the middle of a picture to its edge."""
MOST_ARMS = 6
"""Arms up to which a metric is a row; of more, an arm is one."""
FIELD_WIDTH = 40
"""Characters of a recipe value in a table."""


@dataclass(frozen=True)
class Contrast:
    """An arm minus the baseline, as a table shows it.

    arm         label
    difference  +0.32
    interval    [−0.70, +1.34], of 95 %
    p           0.54, <0.001
    delta       the numbers behind them; None where no difference can be given, the texts are then empty
    why         why there is none
    right       1 where more is better, -1 where less is: the better side of a picture is always the right one
    """

    arm: str
    difference: str
    interval: str
    p: str
    outcome: Outcome
    delta: Delta | None
    why: str = ""
    right: int = 1

    @property
    def p_told(self) -> str:
        """p = 0.54, p <0.001: the p of an interval that stands in a cell with others."""
        return f"p {self.p}" if self.p.startswith("<") else f"p = {self.p}"

    @property
    def ends(self) -> tuple[float, float, float] | None:
        """Left end, value and right end on the axis of the picture: standard errors from the baseline, better right."""
        if self.delta is None or self.delta.se <= 0:
            return None
        ends = sorted(self.right * end / self.delta.se for end in (self.delta.low, self.delta.high))
        return ends[0], self.right * self.delta.value / self.delta.se, ends[1]


@dataclass(frozen=True)
class Row:
    """One metric.

    name        kid ×10³ ↓
    values      label -> number of an arm; absent where there is none
    contrasts   one an arm but the baseline, in the order of the arms; empty where there is no baseline
    references  title -> what real images reach: marks on the same axis
    base        number of the baseline: 0 on that axis
    """

    metric: Metric
    name: str
    values: dict[str, Number]
    contrasts: tuple[Contrast, ...]
    references: dict[str, Number]
    base: Number | None = None

    @property
    def outcome(self) -> Outcome:
        """That of the only contrast; of several, better if one is, then worse."""
        outcomes: list[Outcome] = [contrast.outcome for contrast in self.contrasts]
        return next((sure for sure in ("better", "worse", "open") if sure in outcomes), "none")

    def places(self, contrast: Contrast) -> list[float]:
        """Where what real images reach lies on the axis of a contrast's picture."""
        if self.base is None or self.base.value is None or contrast.delta is None or contrast.delta.se <= 0:
            return []
        values = [number.value for number in self.references.values() if number.value is not None]
        return [contrast.right * (value - self.base.value) / contrast.delta.se for value in values]


@dataclass(frozen=True)
class RowGroup:
    """
    key     quality, variety, copies, prompts, usefulness, opinion, dataset or other
    title   Quality
    asks    what its numbers ask, in a line of plain words
    """

    key: str
    title: str
    asks: str
    rows: list[Row]


@dataclass(frozen=True)
class Sheet:
    """
    arms        labels of the columns, the baseline among them; controls are left out where there are other arms
    controls    labels that were left out
    settings    recipe field -> label -> its value as text; fields that every arm has and in which they differ
    references  titles of what real images reach
    reach       standard errors from zero to the edge of every picture
    """

    arms: list[str]
    controls: list[str]
    baseline: str
    settings: dict[str, dict[str, str]]
    references: list[str]
    groups: list[RowGroup]
    reach: float

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    @property
    def contrasted(self) -> list[str]:
        """Labels that differences are given for."""
        found = {contrast.arm for row in self.rows for contrast in row.contrasts}
        return [label for label in self.arms if label in found]


def sheet(comparison: Comparison, *, controls: bool = False, only: Sequence[str] = ()) -> Sheet:
    """Lay a comparison out.

    controls    whether control arms are columns like others; where there are no others they always are
    only        names of metrics: the others are left out
    """
    studied = [label for label in comparison.arms if not is_control(label)]
    left_out = [] if controls or len(studied) < 2 else [label for label in comparison.arms if is_control(label)]
    arms = [label for label in comparison.arms if label not in left_out]
    metrics = [metric for metric in comparison.metrics if not only or metric.metric in only]
    groups = list(_groups(comparison, metrics, arms))
    rows = [row for group in groups for row in group.rows]
    titles = [title for title in comparison.references if any(title in row.references for row in rows)]
    settings = {
        name: shortened({label: values[label] for label in arms}, FIELD_WIDTH)
        for name, values in comparison.fields.items()
        if all(label in values for label in arms)
    }
    return Sheet(arms, left_out, comparison.baseline, settings, titles, groups, _reach(rows))


def arms_in_rows(layout: Sheet, transpose: bool | None) -> bool:
    """Whether an arm is a row and a metric a column: as it is asked for, else where there are many arms."""
    return len(layout.arms) > MOST_ARMS if transpose is None else transpose


def _groups(comparison: Comparison, metrics: Sequence[Metric], arms: Sequence[str]) -> Iterator[RowGroup]:
    """Groups that have metrics; within one in the order of its members, parts after the whole."""
    keys = [metric.key for metric in comparison.metrics]
    order = [metric for members in MEMBERS.values() for metric in members]

    def place(metric: Metric) -> tuple[bool, int]:
        return metric.group != "all", order.index(metric.metric) if metric.metric in order else len(order)

    members: dict[str, list[Metric]] = {group: [] for group in GROUPS}
    for metric in sorted(metrics, key=place):
        members[group_of(metric.key, keys)].append(metric)
    for group, found in members.items():
        if found:
            names = names_of(found, group)
            rows = [_row(metric, name, comparison.baseline, arms) for metric, name in zip(found, names, strict=True)]
            yield RowGroup(group, title_of(group, found), GROUPS[group][1], rows)


def _row(metric: Metric, name: str, baseline: str, arms: Sequence[str]) -> Row:
    others = [label for label in arms if label != baseline] if baseline else []
    values = {label: metric.arms[label] for label in arms if label in metric.arms}
    contrasts = tuple(contrast_of(metric, label) for label in others)
    return Row(metric, name, values, contrasts, metric.references, values.get(baseline))


def contrast_of(metric: Metric, label: str) -> Contrast:
    """The difference of an arm in a metric, in words."""
    delta = metric.differences.get(label)
    if delta is None:
        return Contrast(label, "", "", "", "none", None, metric.refusals.get(label, ""))
    p = "<0.001" if delta.p < 0.001 else f"{delta.p:.2g}"
    outcome: Outcome = ("better" if metric.is_better(delta) else "worse") if delta.is_clear else "open"
    texts = difference_text(delta, metric.scale), bracketed(delta, metric.scale)
    return Contrast(label, *texts, p, outcome, delta, right=metric.right)


def _reach(rows: Sequence[Row]) -> float:
    ends = [contrast.ends for row in rows for contrast in row.contrasts if contrast.ends]
    furthest = max((abs(value) + Z_95 for _, value, _ in ends), default=0)
    return min(max(SMALLEST_REACH, furthest), LARGEST_REACH)
