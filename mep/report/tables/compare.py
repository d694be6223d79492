"""From the scores of arms to their comparison."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mep.report.data.arms import Arm, differing_fields, read_arms
from mep.report.data.scores import Halves, Key, StoredScore, read_scores
from mep.report.tables.comparison import MISSING, Comparison, Delta, Metric, Number, id_of, in_overview
from mep.report.tables.differences import difference_of, unlike_of
from mep.report.tables.footnotes import Footnotes
from mep.report.tables.notes import notes_of
from mep.report.tables.rows import TableRow, baseline_of, fields_of_rows, grouped, references_of, state_of
from mep.report.tables.significance import MOST_ARMS, adjusted, permutation_p
from mep.report.text import rounded, rounded_error
from mep.report.wording import MEASURED, SCALES
from mep.store import Store

HEADLINE_KERNEL = ("kid", "all", "heldout")
"""Metric, group and reference whose difference is also tested by permutation."""


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
    arms = read_arms(store, run_ids)
    read_scores(store, arms)
    fields = differing_fields(store, arms)
    rows = grouped(arms, fields, group_by)
    runs = {arm.run_id: arm.state for arm in arms}
    base = baseline_of(rows, baseline, single=len(runs) == 1)
    references = references_of(arms)
    comparer = _Comparer(rows, base, references, Footnotes(), Halves(store), precision)
    keys = dict.fromkeys(key for arm in arms for subject, key in arm.scores if subject == MEASURED)
    kept = {key: keep is None or keep(id_of(key), in_overview(key)) for key in keys}
    metrics = adjusted([comparer.metric(key) for key in keys if kept[key]])
    result = Comparison(
        name=_name(store, runs),
        runs=runs,
        arms=[row.label for row in rows],
        baseline=base.label if base else "",
        states={row.label: state_of(row) for row in rows},
        members={row.label: [f"{arm.run_id}/{arm.name}" for arm in row.arms] for row in rows},
        fields=fields_of_rows(fields, rows),
        references=list(references),
        metrics=metrics,
        missing={row.label: missing for row in rows if (missing := row.arms[0].missing)},
        footnotes=comparer.footnotes.texts(),
        hidden=[id_of(key) for key in keys if not kept[key]],
        notes=[],
    )
    return replace(result, notes=list(notes_of(result)))


def _name(store: Store, runs: dict[str, str]) -> str:
    if len(runs) > 1:
        return f"{len(runs)} runs"
    return str(store.db.query("SELECT name FROM runs WHERE run_id = ?", next(iter(runs)))[0]["name"]) if runs else ""


@dataclass(frozen=True, eq=False)
class _Comparer:
    """Compares rows, one metric after the other; all metrics share their footnotes."""

    rows: list[TableRow]
    baseline: TableRow | None
    references: dict[str, tuple[Arm, str]]
    footnotes: Footnotes
    halves: Halves
    precision: int | None

    def metric(self, key: Key) -> Metric:
        scores = {row.label: repeats for row in self.rows if (repeats := row.scores(key))}
        firsts = {label: next(iter(repeats.values())) for label, repeats in scores.items()}
        standard = self.baseline.label if self.baseline and self.baseline.label in scores else next(iter(scores))
        deviations = {label: unlike_of(first, firsts[standard]) for label, first in firsts.items()}
        scale = SCALES.get(key[1], 1)
        numbers = {
            label: self._number(list(repeats.values()), scale, self.footnotes.mark(label, standard, deviations[label]))
            for label, repeats in scores.items()
        }
        results: dict[str, Delta | str] = {}
        if self.baseline:
            of_baseline = scores.get(self.baseline.label, {})
            for row in self.rows:
                if row is not self.baseline:
                    repeats = scores.get(row.label, {})
                    delta = difference_of(repeats, of_baseline, deviations.get(row.label, {}), self.halves)
                    results[row.label] = self._with_permutation(delta, key, repeats, of_baseline)
        return Metric(
            *key,
            better=firsts[standard].kind.better or "",
            scale=scale,
            arms=numbers,
            references={
                title: self._number([arm.scores[subject, key]], scale)
                for title, (arm, subject) in self.references.items()
                if (subject, key) in arm.scores
            },
            differences={label: delta for label, delta in results.items() if isinstance(delta, Delta)},
            refusals={label: reason for label, reason in results.items() if isinstance(reason, str)},
        )

    def _with_permutation(
        self, delta: Delta | str, key: Key, repeats: dict[int, StoredScore], of_baseline: dict[int, StoredScore]
    ) -> Delta | str:
        """The difference of a single training in the headline's kernel distance gets a second p."""
        few = len(self.rows) <= MOST_ARMS
        if isinstance(delta, str) or delta.n_pairs or key[1:] != HEADLINE_KERNEL or not few:
            return delta
        p = permutation_p(self.halves.store, next(iter(repeats.values())), next(iter(of_baseline.values())))
        return replace(delta, p_permutation=p)

    def _number(self, scores: list[StoredScore], scale: float, mark: str = "") -> Number:
        """One score as it is; of several their mean and standard deviation."""
        first = scores[0]
        value, error, repeats = first.value, first.se, tuple[float, ...]()
        if len(scores) > 1:
            repeats = tuple(score.value for score in scores if score.value is not None)
            value = statistics.fmean(repeats) if repeats else None
            error = statistics.stdev(repeats) if len(repeats) > 1 else None
        text, error_text = MISSING, ""
        if value is not None:
            text = rounded(value * scale, None if error is None else error * scale, precision=self.precision)
            if error is not None:
                error_text = rounded_error(error * scale, value * scale, self.precision)
        return Number(value, error, text, error_text, first, repeats, mark)
