"""The comparison: every metric of every arm, the difference to the baseline, and what the numbers rest on."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mep.config import canonical_json
from mep.errors import UsageError
from mep.protocol import COMPARED
from mep.report.names import ARROWS, MEASURED, NAMES, OVERVIEW, REFERENCES, SCALES, UNTOLD
from mep.report.scores import Arm, Entry, Halves, Key, differing_fields, read_arms
from mep.report.significance import MOST_ARMS, adjusted, permutation_p
from mep.report.text import listed, plain, rounded, rounded_error
from mep.store import Store
from mep.uncertainty import difference, paired_by_seed

HEADLINE_KERNEL = ("kid", "all", "heldout")
"""Metric, group and reference whose difference is also tested by permutation."""

MISSING, FAILED = "-", "!"
"""What stands in place of a number: there is none; the run failed before there was one."""


@dataclass(frozen=True)
class Number:
    """A score as it was stored, and as tables show it; of repeated arms their mean.

    se          standard error of one score, or standard deviation over repeats
    repeats     values of the repeats; empty for one score
    mark        letter of a footnote that says why the number is not made like the baseline's; empty where it is
    entry       the score as it was stored; of repeats the first
    """

    value: float | None
    se: float | None
    text: str
    se_text: str
    n_real: int
    n_fake: int
    flags: tuple[str, ...]
    repeats: tuple[float, ...] = ()
    mark: str = ""
    entry: Entry | None = None

    @property
    def protocol(self) -> dict[str, Any]:
        """Everything that was stored with it."""
        return self.entry.row if self.entry else {}

    def stored(self, name: str) -> Any:
        """One thing of the protocol, without making the whole of it."""
        return self.entry.protocol.get(name) if self.entry else None

    @property
    def shown(self) -> str:
        """31.2 ± 2.0"""
        return f"{self.text} ± {self.se_text}" if self.se_text else self.text


def id_of(key: Key) -> str:
    extractor, metric, group, reference = key
    of_group = "" if group == "all" else f"[{group}]"
    return f"{extractor}/{metric}{of_group}" + ("" if reference == "heldout" else f"@{reference}")


def in_overview(key: Key) -> bool:
    _, metric, group, reference = key
    return group == "all" and (reference == "heldout" or metric == "copy_rate") and metric in OVERVIEW


@dataclass(frozen=True)
class Delta:
    """An arm minus the baseline with its 95 % interval and the p of no difference, in the metric's own unit.

    n_pairs     repeats that were paired; 0 where halves of the images speak for one training
    sentence    what that many repeats allow to say
    p_holm      p adjusted over all metrics but the first; None for the first, and for parts
    p_permutation   of a kernel distance, where the features of both arms are still there
    """

    value: float
    se: float
    low: float
    high: float
    p: float
    n_pairs: int = 0
    sentence: str = ""
    p_holm: float | None = None
    p_permutation: float | None = None


@dataclass(frozen=True)
class Metric:
    """One metric in one feature space, for one group of images.

    arms            label -> number; arms that have none are absent
    references      title of the reference -> number
    differences     label -> arm minus baseline, in the metric's own unit
    refusals        label -> why no difference is given
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

    @property
    def id(self) -> str:
        """What --columns, --sort and --where know it by: random_conv/kid, random_conv/kid[label=benign]@train."""
        return id_of((self.extractor, self.metric, self.group, self.reference))

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

    @property
    def in_overview(self) -> bool:
        """Whether it is shown where nobody chose columns."""
        return in_overview((self.extractor, self.metric, self.group, self.reference))

    def touched_by(self, flag: str) -> bool:
        """Whether a flag of its numbers concerns this metric."""
        return flag not in UNTOLD and (flag != "rank_deficient" or self.metric.startswith("fd"))

    @property
    def flagged(self) -> bool:
        """Whether some number of the metric carries a flag that touches it."""
        return any(self.touched_by(flag) for one in self.arms.values() for flag in one.flags)

    @property
    def best(self) -> frozenset[str]:
        """Labels with the best value of those that were made alike; none where fewer than two were, or all tie."""
        alike = {label: one.value for label, one in self.arms.items() if one.value is not None and not one.mark}
        if len(alike) < 2 or self.better not in ARROWS:
            return frozenset()
        best = (min if self.better == "lower" else max)(alike.values())
        winners = frozenset(label for label, value in alike.items() if value == best)
        return winners if len(winners) < len(alike) else frozenset()


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
    """

    name: str
    runs: dict[str, str]
    arms: list[str]
    baseline: str
    states: dict[str, str]
    members: dict[str, list[str]]
    fields: dict[str, dict[str, Any]]
    references: list[str]
    metrics: list[Metric]
    missing: dict[str, list[str]]
    footnotes: dict[str, str]
    hidden: list[str]
    notes: list[str]

    @property
    def state(self) -> str:
        """The state that all runs share, else their states."""
        return ", ".join(dict.fromkeys(self.runs.values()))

    @property
    def has_differences(self) -> bool:
        return any(metric.differences for metric in self.metrics)

    @property
    def extractors(self) -> list[str]:
        return list(dict.fromkeys(metric.extractor for metric in self.metrics))

    @property
    def unlike(self) -> list[str]:
        """Footnotes of the numbers that were not made like those they stand beside."""
        mixed: set[str] = set()
        for metric in self.metrics:
            marks = {one.mark for one in metric.arms.values()}
            mixed |= marks if len(marks) > 1 else set()
        return [text for letter, text in self.footnotes.items() if letter in mixed]

    def absent(self, label: str) -> str:
        """What stands where an arm has no number."""
        return FAILED if self.states[label] == "failed" else MISSING


@dataclass(frozen=True, eq=False)
class Group:
    """Arms that share a row: one arm, or the repeats of one."""

    label: str
    arms: list[Arm]

    def entries(self, key: Key) -> dict[int, Entry]:
        """The scores of its arms by repeat, or by place where arms of several runs share a number."""
        repeats = [arm.repeat for arm in self.arms]
        numbers = repeats if len(set(repeats)) == len(repeats) else range(1, len(repeats) + 1)
        return {
            number: arm.entries[MEASURED, key]
            for number, arm in zip(numbers, self.arms, strict=True)
            if (MEASURED, key) in arm.entries
        }


def comparison(
    store: Store,
    run_ids: Sequence[str],
    *,
    baseline: str | None = None,
    group_by: str = "repeats",
    precision: int | None = None,
    keep: Callable[[str, bool], bool] | None = None,
) -> Comparison:
    """What the scores of all arms of some runs say beside each other.

    baseline    label, arm or `run/arm` that differences are taken to; without one the first arm of a single run
    group_by    repeats: those of an arm are one row. arm: also over runs. none, or a recipe field
    precision   significant digits; without it values end where their uncertainty does
    keep        by id, and whether it is of the overview: which metrics to compare at all

    UsageError  no such run, baseline or field
    """
    from mep.report.notes import notes_of

    arms = read_arms(store, run_ids)
    fields = differing_fields(store, arms)
    groups = grouped(arms, fields, group_by)
    states = {arm.run_id: arm.state for arm in arms}
    base = _baseline(groups, baseline, single=len(states) == 1)
    owners = _references(arms)
    keys = dict.fromkeys(key for arm in arms for subject, key in arm.entries if subject == MEASURED)
    wanted = [key for key in keys if keep is None or keep(id_of(key), in_overview(key))]
    shown = set(wanted)
    footnotes = Footnotes()
    halves = Halves(store)
    number = _rounding(precision)
    metrics = adjusted([_metric(key, groups, base, owners, footnotes, halves, number) for key in wanted])
    found = Comparison(
        name=_name(store, states),
        runs=states,
        arms=[group.label for group in groups],
        baseline=base.label if base else "",
        states={group.label: _state(group) for group in groups},
        members={group.label: [f"{arm.run_id}/{arm.name}" for arm in group.arms] for group in groups},
        fields=_fields(fields, groups),
        references=list(owners),
        metrics=metrics,
        missing={group.label: group.arms[0].missing for group in groups if group.arms[0].missing},
        footnotes=footnotes.texts(),
        hidden=[id_of(key) for key in keys if key not in shown],
        notes=[],
    )
    return replace(found, notes=list(notes_of(found)))


def grouped(arms: Sequence[Arm], fields: dict[str, dict[str, Any]], by: str) -> list[Group]:
    """The rows of the table: arms that share what `by` names are one."""
    several = len({arm.run_id for arm in arms}) > 1
    if by not in ("none", "repeats", "arm") and by not in fields:
        known = ", ".join(["none", "repeats", "arm", *fields])
        raise UsageError(f"cannot group by '{by}': the arms do not differ in it", hint=f"known: {known}")

    def label(arm: Arm) -> str:
        if by == "none":
            return arm.label
        if by == "repeats":
            return f"{arm.run_id}/{arm.stem}" if several else arm.stem
        return arm.stem if by == "arm" else f"{by}={plain(fields[by].get(arm.label, MISSING))}"

    found: dict[str, list[Arm]] = {}
    for arm in arms:
        found.setdefault(label(arm), []).append(arm)
    return [Group(name, members) for name, members in found.items()]


def _baseline(groups: list[Group], wanted: str | None, *, single: bool) -> Group | None:
    if wanted is None:
        return groups[0] if single and groups else None
    if wanted == "none":
        return None
    found = [group for group in groups if group.label == wanted] or [
        group for group in groups if wanted in (arm.name for arm in group.arms) or group.label.startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    listing = ", ".join(group.label for group in (found or groups)[:8])
    raise UsageError(
        f"'{wanted}' is {'ambiguous' if found else 'no arm'}",
        hint=f"{'candidates' if found else 'arms'}: {listing}",
    )


def _state(group: Group) -> str:
    """The worst state of the members: one failed repeat is not hidden by the others."""
    states = {arm.state for arm in group.arms}
    return next((state for state in ("failed", "interrupted", "running") if state in states), "done")


def _name(store: Store, runs: dict[str, str]) -> str:
    if len(runs) > 1:
        return f"{len(runs)} runs"
    return str(store.db.query("SELECT name FROM runs WHERE run_id = ?", next(iter(runs)))[0]["name"]) if runs else ""


def _fields(fields: dict[str, dict[str, Any]], groups: list[Group]) -> dict[str, dict[str, Any]]:
    """Fields by row; one that differs between the repeats of a row says nothing about the row."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in fields.items():
        own = {
            group.label: {
                canonical_json(values[arm.label]): values[arm.label] for arm in group.arms if arm.label in values
            }
            for group in groups
        }
        if any(len(each) > 1 for each in own.values()) and all(len(group.arms) > 1 for group in groups):
            continue
        shown = {
            label: next(iter(each.values())) if len(each) == 1 else "several" for label, each in own.items() if each
        }
        if len({canonical_json(value) for value in shown.values()}) > 1 or len(shown) < len(groups):
            found[name] = shown
    return found


def _references(arms: Sequence[Arm]) -> dict[str, tuple[Arm, str]]:
    """Title of a row -> the first arm that has it, and its subject: one row for all arms with the same numbers."""
    subjects = dict.fromkeys(subject for arm in arms for subject, _ in arm.entries if subject != MEASURED)
    found: dict[str, tuple[Arm, str]] = {}
    for subject in subjects:
        title = REFERENCES.get(subject, plain(subject))
        owners: dict[tuple[Any, ...], list[Arm]] = {}
        for arm in arms:
            own = tuple((key, one.value) for (of, key), one in arm.entries.items() if of == subject)
            if own:
                owners.setdefault(own, []).append(arm)
        for members in owners.values():
            own_name = members[0].label if len(members) == 1 else f"{members[0].label} and {len(members) - 1} more"
            found[title if len(owners) == 1 else f"{title} ({own_name})"] = members[0], subject
    return found


Rounding = Callable[[list[Entry], float, str], Number]


def _metric(
    key: Key,
    groups: list[Group],
    base: Group | None,
    owners: dict[str, tuple[Arm, str]],
    footnotes: "Footnotes",
    halves: Halves,
    number: Rounding,
) -> Metric:
    found = {group.label: entries for group in groups if (entries := group.entries(key))}
    firsts = {label: next(iter(entries.values())) for label, entries in found.items()}
    measure = base.label if base and base.label in found else next(iter(found))
    arms: dict[str, Number] = {}
    differences: dict[str, Delta] = {}
    refusals: dict[str, str] = {}
    scale = SCALES.get(key[1], 1)
    for group in groups:
        own = found.get(group.label, {})
        how = _unlike(firsts[group.label], firsts[measure]) if own and group.label != measure else {}
        if own:
            mark = footnotes.mark(group.label, measure, how)
            arms[group.label] = number(list(own.values()), scale, mark)
        if base and group is not base:
            delta = _difference(own, found.get(base.label, {}), how, halves)
            if (
                isinstance(delta, Delta)
                and not delta.n_pairs
                and key[1:] == HEADLINE_KERNEL
                and len(groups) <= MOST_ARMS
            ):
                p = permutation_p(halves.store, firsts[group.label], firsts[base.label])
                delta = replace(delta, p_permutation=p)
            if isinstance(delta, str):
                refusals[group.label] = delta
            else:
                differences[group.label] = delta
    references = {
        title: number([entry], scale, "")
        for title, (arm, subject) in owners.items()
        if (entry := arm.entries.get((subject, key))) is not None
    }
    better = firsts[measure].better
    return Metric(*key, better, scale, arms, references, differences, refusals)


def _unlike(own: Entry, measure: Entry) -> dict[str, str]:
    """What was done otherwise -> both values; empty for numbers that can be compared."""
    numbers = (own.n_real, own.n_fake, own.dataset) == (measure.n_real, measure.n_fake, measure.dataset)
    if own.protocol is measure.protocol and numbers:
        return {}
    mine, theirs = own.row, measure.row
    found = {
        words: f"{_short(mine.get(name))}, not {_short(theirs.get(name))}"
        for name, words in COMPARED.items()
        if mine.get(name) != theirs.get(name)
    }
    if own.dataset != measure.dataset:
        found["the real images"] = f"{own.dataset[:16]}, not {measure.dataset[:16]}"
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def _difference(own: dict[int, Entry], base: dict[int, Entry], how: dict[str, str], halves: Halves) -> Delta | str:
    """Arm minus baseline, over pairs of repeats or on shared halves; else why there is none."""
    if not own or not base:
        return "one of them has no such number"
    if how:
        return f"they differ in {listed(list(how))}"
    if len(own) > 1 or len(base) > 1:
        return _paired(own, base)
    (mine,), (theirs,) = own.values(), base.values()
    if mine.value is None or theirs.value is None:
        return mine.protocol.get("reason") or theirs.protocol.get("reason") or "there are too few images"
    if mine.se is None or theirs.se is None:
        return "there are too few images for halves"
    my_halves, their_halves = halves.of(mine), halves.of(theirs)
    if my_halves is None or their_halves is None:
        return "the halves behind them have been deleted since"
    delta = difference(my_halves, their_halves, mine.value, theirs.value)
    if not math.isfinite(delta.se):
        return "there is no number on the halves of one of them"
    return Delta(**vars(delta))


def _paired(own: dict[int, Entry], base: dict[int, Entry]) -> Delta | str:
    mine, theirs = (
        {repeat: one.value for repeat, one in side.items() if one.value is not None} for side in (own, base)
    )
    if not mine or not theirs:
        return "one of them has no such number"
    if not set(mine) & set(theirs):
        return "they have no repeat in common"
    found = paired_by_seed(mine, theirs)
    if found.low is None or found.high is None or found.p is None:
        return found.sentence
    values = list(found.values.values())
    se = statistics.stdev(values) / math.sqrt(len(values))
    return Delta(found.value, se, found.low, found.high, found.p, len(values), found.sentence)


def _rounding(precision: int | None) -> Rounding:
    """Makes numbers with their text."""

    def number(entries: list[Entry], scale: float, mark: str) -> Number:
        first = entries[0]
        values = tuple(entry.value for entry in entries if entry.value is not None)
        value, error = first.value, first.se
        repeated = values if len(entries) > 1 else ()
        if len(entries) > 1:
            value = statistics.fmean(values) if values else None
            error = statistics.stdev(values) if len(values) > 1 else None
        return Number(
            value=value,
            se=error,
            text=MISSING
            if value is None
            else rounded(value * scale, error * scale if error is not None else None, precision=precision),
            se_text="" if error is None or value is None else rounded_error(error * scale, value * scale, precision),
            n_real=first.n_real,
            n_fake=first.n_fake,
            flags=tuple(first.protocol["flags"]),
            repeats=repeated,
            mark=mark,
            entry=first,
        )

    return number


class Footnotes:
    """Letters for the ways in which numbers were not made like those they stand beside."""

    def __init__(self) -> None:
        self.letters: dict[tuple[str, str], str] = {}
        self.labels: dict[str, dict[str, None]] = {}

    def mark(self, label: str, measure: str, how: dict[str, str]) -> str:
        if not how:
            return ""
        told = "; ".join(f"{words}: {values}" for words, values in how.items())
        letter = self.letters.setdefault((measure, told), _letter(len(self.letters)))
        self.labels.setdefault(letter, {})[label] = None
        return letter

    def texts(self) -> dict[str, str]:
        return {
            letter: f"{_some(list(self.labels[letter]))}: not made like {measure}, and not compared with it ({told})."
            for (measure, told), letter in self.letters.items()
        }


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _some(labels: list[str], most: int = 6) -> str:
    shown = [plain(label) for label in labels[:most]]
    return listed(shown) if len(labels) <= most else f"{', '.join(shown)} and {len(labels) - most} more"
