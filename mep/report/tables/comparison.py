"""The comparison as data: every metric of every arm, the difference to the baseline, and what the numbers rest on."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from mep.evaluation.differences import FEWEST_SEEDS, Difference
from mep.recipe.controls import is_control
from mep.recipe.model import repeat_of
from mep.report.data.arms import FieldValues, Key, StoredScore
from mep.report.text import plain, value_and_error
from mep.report.wording import ARROWS, NAMES, SILENT_FLAGS
from mep.statistics.power import detectable, level_of_each

MISSING, FAILED = "-", "!"
"""What stands in place of a number: there is none; the run failed before there was one."""


@dataclass(frozen=True)
class Number:
    """A score as it was stored, and as tables show it; of repeated arms their mean.

    se          standard error of a single score, or standard deviation over repeats
    score       the score as it was stored; of repeats the first
    repeats     values of the repeats; empty for a single score
    mark        letter of a footnote that says why the number is not made like the baseline's; empty where it is
    """

    value: float | None
    se: float | None
    text: str
    se_text: str
    score: StoredScore
    repeats: tuple[float, ...] = ()
    mark: str = ""

    @classmethod
    def of(cls, scores: Sequence[StoredScore], scale: float, precision: int | None = None, mark: str = "") -> Self:
        """One score as it is; of several their mean and standard deviation."""
        value, error, repeats = scores[0].value, scores[0].se, tuple[float, ...]()
        if len(scores) > 1:
            repeats = tuple(score.value for score in scores if score.value is not None)
            value = statistics.fmean(repeats) if repeats else None
            error = statistics.stdev(repeats) if len(repeats) > 1 else None
        texts = (MISSING, "") if value is None else value_and_error(value, error, scale, precision)
        return cls(value, error, *texts, scores[0], repeats, mark)

    @property
    def shown(self) -> str:
        """31.2 ± 2.0"""
        return f"{self.text} ± {self.se_text}" if self.se_text else self.text


def id_of(key: Key) -> str:
    extractor, metric, group, reference = key
    of_group = "" if group == "all" else f"[{group}]"
    return f"{extractor}/{metric}{of_group}" + ("" if reference == "heldout" else f"@{reference}")


@dataclass(frozen=True)
class Delta(Difference):
    """An arm minus the baseline with its 95 % interval and the p of no difference, in the metric's own unit.

    n_pairs     repeats that were paired; 0 where halves of the images speak for one training
    sentence    what that many repeats allow to say
    p_holm      p adjusted over all metrics but the first; None for the first, and for parts
    n_arms      arms that the interval and p hold for at once; 1 for each on its own
    spread      of the few trainings behind it too little is known to tell methods apart: where the spread between
                trainings comes from that its error holds, "2.7 % as on ..."; empty where no such error was needed
    """

    n_pairs: int = 0
    sentence: str = ""
    p_holm: float | None = None
    n_arms: int = 1
    spread: str = ""

    @property
    def speaks_of_methods(self) -> bool:
        """Whether its error holds what one training differs from the next, by enough of them or as known elsewhere."""
        return self.n_pairs >= FEWEST_SEEDS or bool(self.spread)

    @property
    def detectable(self) -> float:
        """The smallest true difference that four of five such experiments would have found, at 5 % two-sided."""
        return detectable(self.se, self.freedom, level=level_of_each(self.n_arms))

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Metric:
    """One metric in one feature space, for one group of images.

    arms            label -> number; arms that have none are absent
    references      title of the reference -> number
    differences     label -> arm minus baseline, in the metric's own unit
    refusals        label -> why no difference is given
    in_overview     whether a table shows it where nobody chose any
    """

    extractor: str
    metric: str
    group: str
    reference: str
    better: str
    scale: float
    arms: dict[str, Number]
    references: dict[str, Number]
    differences: dict[str, Delta]
    refusals: dict[str, str]
    in_overview: bool = False

    @property
    def key(self) -> Key:
        return self.extractor, self.metric, self.group, self.reference

    @property
    def id(self) -> str:
        """What --columns, --sort and --where know it by: random_conv/kid, random_conv/kid[label=benign]@train."""
        return id_of(self.key)

    @property
    def name(self) -> str:
        """Long name: Fréchet distance."""
        return NAMES.get(self.metric, plain(self.metric)) + ("" if self.group == "all" else f" of {plain(self.group)}")

    @property
    def title(self) -> str:
        """Heading in a table: `kid ×10³ ↓`."""
        group = "" if self.group == "all" else f" ({plain(self.group)})"
        against = "" if self.reference == "heldout" else f" to {plain(self.reference)}"
        arrow = f" {ARROWS[self.better]}" if self.better in ARROWS else ""
        return f"{plain(self.metric)}{group}{against}{' ×10³' if self.scale == 1000 else ''}{arrow}" + (
            "‡" if self.flagged else ""
        )

    def concerns(self, flag: str) -> bool:
        """Whether a flag says something about this metric."""
        return flag not in SILENT_FLAGS and (flag != "rank_deficient" or self.metric.startswith("fd"))

    @property
    def flagged(self) -> bool:
        return any(self.concerns(flag) for number in self.arms.values() for flag in number.score.kind.flags)

    @property
    def right(self) -> int:
        """1 where more is better, -1 where less is: the better side of a picture is always the right one."""
        return -1 if self.better == "lower" else 1

    def is_better(self, delta: Delta) -> bool:
        """Whether a difference to the baseline is for the better, clear or not."""
        return self.right * delta.value > 0

    def best_of(self, values: Mapping[str, float]) -> str:
        """The label with the best value; of equals the first."""
        return max(values, key=lambda label: self.right * values[label])

    @cached_property
    def best(self) -> frozenset[str]:
        """The label with the best value of the arms made alike, where it clearly differs; else none. Controls aside.

        An arm has to differ from the baseline, and the baseline from every other arm. Without differences none is best.
        """
        alike = {
            label: number.value
            for label, number in self.arms.items()
            if number.value is not None and not number.mark and not is_control(label)
        }
        if len(alike) < 2 or self.better not in ARROWS:
            return frozenset()
        best = alike[self.best_of(alike)]
        winners = [label for label, value in alike.items() if value == best]
        rivals = winners if winners[0] in self.differences else [label for label in alike if label not in winners]
        deltas = [self.differences.get(label) for label in rivals]
        clear = len(winners) == 1 and all(delta is not None and delta.is_clear for delta in deltas)
        return frozenset(winners if clear else ())


@dataclass(frozen=True)
class Comparison:
    """Arms side by side, of one run or of several.

    runs        run -> its state
    arms        labels of the rows
    baseline    label that differences are taken to; empty where none are
    states      label -> state of its run
    members     label -> the arms behind it, `run/arm`; several for repeats
    fields      recipe field -> label -> value, for fields that are not the same in all arms; absent where there is none
    references  titles of the rows of references
    missing     label -> stages that have no artifact; complete arms are absent
    footnotes   letter -> how numbers with this mark were made otherwise
    hidden      ids of metrics that there are and that were not compared
    notes       what the numbers rest on, a sentence or two each
    sight       what the instruments of a single run see, to what they are blind, and where they cannot be trusted
    privacy     whether training images were found in the generators, in a sentence; empty where none was attacked
    controls    control that the recipe asks for -> `run`, or why it was not run or can say nothing
    """

    name: str
    runs: dict[str, str]
    arms: list[str]
    baseline: str
    states: dict[str, str]
    members: dict[str, list[str]]
    fields: FieldValues
    references: list[str]
    metrics: list[Metric]
    missing: dict[str, list[str]]
    footnotes: dict[str, str]
    hidden: list[str]
    notes: list[str]
    controls: dict[str, str] = field(default_factory=dict)
    sight: list[str] = field(default_factory=list)
    privacy: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The state that all runs share, else their states."""
        return ", ".join(dict.fromkeys(self.runs.values()))

    @cached_property
    def has_differences(self) -> bool:
        return any(metric.differences for metric in self.metrics)

    @cached_property
    def trainings(self) -> dict[str, list[str]]:
        """Arm -> labels of its trainings, where each of them is a row of its own; empty where no arm has several."""
        arms: dict[str, list[str]] = {}
        for label in self.arms:
            run, _, arm = repeat_of(self.members[label][0])[0].rpartition("/")
            arms.setdefault(f"{run}/{arm}" if len(self.runs) > 1 else arm, []).append(label)
        apart = len(arms) < len(self.arms) and all(len(self.members[label]) == 1 for label in self.arms)
        return arms if apart else {}

    @property
    def extractors(self) -> list[str]:
        return list(dict.fromkeys(metric.extractor for metric in self.metrics))

    @property
    def unlike(self) -> list[str]:
        """Footnotes of the numbers that were not made like those they stand beside."""
        mixed: set[str] = set()
        for metric in self.metrics:
            marks = {number.mark for number in metric.arms.values()}
            mixed |= marks if len(marks) > 1 else set()
        return [text for letter, text in self.footnotes.items() if letter in mixed]

    def absent(self, label: str) -> str:
        """What stands where an arm has no number."""
        return FAILED if self.states[label] == "failed" else MISSING
