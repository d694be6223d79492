"""From the scores of arms to their comparison."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from mep.report.data.arms import Arm, Entry, Halves, Key, differing_fields, read_arms
from mep.report.tables.comparison import MISSING, Comparison, Delta, Metric, Number, id_of, in_overview
from mep.report.tables.differences import difference_of, unlike_of
from mep.report.tables.footnotes import Footnotes
from mep.report.tables.rows import Group, baseline_of, fields_of_rows, grouped, references_of, state_of
from mep.report.tables.significance import MOST_ARMS, adjusted, permutation_p
from mep.report.text import rounded, rounded_error
from mep.report.wording import MEASURED, SCALES
from mep.store import Store

HEADLINE_KERNEL = ("kid", "all", "heldout")
"""Metric, group and reference whose difference is also tested by permutation."""

Rounding = Callable[[list[Entry], float, str], Number]
"""Scores of a row, scale and mark -> the number."""


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
    from mep.report.tables.notes import notes_of

    arms = read_arms(store, run_ids)
    fields = differing_fields(store, arms)
    groups = grouped(arms, fields, group_by)
    states = {arm.run_id: arm.state for arm in arms}
    base = baseline_of(groups, baseline, single=len(states) == 1)
    owners = references_of(arms)
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
        states={group.label: state_of(group) for group in groups},
        members={group.label: [f"{arm.run_id}/{arm.name}" for arm in group.arms] for group in groups},
        fields=fields_of_rows(fields, groups),
        references=list(owners),
        metrics=metrics,
        missing={group.label: group.arms[0].missing for group in groups if group.arms[0].missing},
        footnotes=footnotes.texts(),
        hidden=[id_of(key) for key in keys if key not in shown],
        notes=[],
    )
    return replace(found, notes=list(notes_of(found)))


def _name(store: Store, runs: dict[str, str]) -> str:
    if len(runs) > 1:
        return f"{len(runs)} runs"
    return str(store.db.query("SELECT name FROM runs WHERE run_id = ?", next(iter(runs)))[0]["name"]) if runs else ""


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
        how = unlike_of(firsts[group.label], firsts[measure]) if own and group.label != measure else {}
        if own:
            mark = footnotes.mark(group.label, measure, how)
            arms[group.label] = number(list(own.values()), scale, mark)
        if base and group is not base:
            delta = difference_of(own, found.get(base.label, {}), how, halves)
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
