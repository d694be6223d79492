"""From the scores of arms to their comparison."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mep.evaluation.differences import FEWEST_SEEDS
from mep.report.data.arms import (
    Arm,
    Key,
    StoredScore,
    controls_of,
    differing_fields,
    read_arms,
    read_scores,
    spreads_of_arm,
)
from mep.report.data.calibration import blind_spots
from mep.report.data.controlled import controlled
from mep.report.data.halves import Halves
from mep.report.data.privacy import answer
from mep.report.tables.comparison import Comparison, Delta, Metric, Number, id_of
from mep.report.tables.notes import notes_of
from mep.report.tables.overview import headline_of, overview_of
from mep.report.tables.rows import TableRow, baseline_of, fields_of_rows, grouped, references_of, state_of
from mep.report.tables.significance import (
    Repeats,
    adjusted,
    difference_of,
    error_by_images,
    unlike_in,
    with_spread,
)
from mep.report.tables.trust import distrust
from mep.report.text import listed, plain
from mep.report.wording import MEASURED, SCALES
from mep.runner.spreads import Place
from mep.store import Store

LARGEST_SCALED = 0.1
"""Values below which a kernel distance is shown times 1000."""


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
    names = store.db.query("SELECT name FROM runs WHERE run_id = ?", next(iter(runs), ""))
    base = baseline_of(rows, baseline, single=len(runs) == 1)
    references = references_of(arms)
    keys = dict.fromkeys(key for arm in arms for subject, key in arm.scores if subject == MEASURED)
    headline, overview = headline_of(keys), overview_of(keys)
    comparer = _Comparer(rows, base, references, Footnotes(), Halves(store), precision, _largest(arms))
    kept = {key: keep is None or keep(id_of(key), key in overview) for key in keys}
    found = [replace(comparer.metric(key), in_overview=key in overview) for key in keys if kept[key]]
    metrics = adjusted(_with_known_spreads(store, found, rows, base, comparer.halves), headline)
    result = Comparison(
        name=f"{len(runs)} runs" if len(runs) > 1 else names[0]["name"] if names else "",
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
        controls=controls_of(store, base.arms[0].run_id) if base else {},
    )
    sight = [*distrust(result), *blind_spots(store, list(runs))] if len(runs) == 1 else []
    control = [said.sentence] if (said := controlled(store, arms)) else []
    privacy = [text for text in [answer(arms)] if text]
    return replace(result, notes=[*control, *notes_of(result), *privacy, *sight], sight=sight, privacy=privacy)


def _with_known_spreads(
    store: Store, metrics: list[Metric], rows: Sequence[TableRow], base: TableRow | None, halves: Halves
) -> list[Metric]:
    """The metrics; differences of fewer trainings than a claim takes hold what trainings are known to differ by."""
    trained = {row.label: training for row in rows if (training := row.arms[0].used.get("training"))}
    if base is None or base.label not in trained:
        return metrics
    apart = [label for label, training in trained.items() if training != trained[base.label]]
    few = [metric for metric in metrics if any(not delta.speaks_of_methods for delta in metric.differences.values())]
    if not apart or not few:
        return metrics
    n_images = max(number.score.n_fake for metric in few for number in metric.arms.values())
    known = spreads_of_arm(store, base.arms[0], n_images)

    def by_images(metric: Metric) -> dict[str, float | None]:
        of_base = base.scores(metric.key)
        pairs = {label: delta.n_pairs for label, delta in metric.differences.items()}
        two = [row for row in rows if 0 < pairs.get(row.label, 0) < FEWEST_SEEDS]
        return {row.label: error_by_images(row.scores(metric.key), of_base, halves) for row in two}

    return [
        with_spread(metric, spread, apart, by_images(metric))
        if metric.group == "all" and (spread := known.get(Place(metric.extractor, metric.metric, metric.reference)))
        else metric
        for metric in metrics
    ]


def _largest(arms: Sequence[Arm]) -> dict[tuple[str, str, str], float]:
    """Extractor, metric and group -> the largest value that any arm has, whatever it is measured to."""
    largest: dict[tuple[str, str, str], float] = {}
    for arm in arms:
        for (subject, key), score in arm.scores.items():
            if key[1] in SCALES and subject == MEASURED and score.value is not None:
                largest[key[:3]] = max(abs(score.value), largest.get(key[:3], 0))
    return largest


class Footnotes:
    """Gives a letter to every way in which numbers were made otherwise."""

    def __init__(self) -> None:
        self.letters: dict[tuple[str, str], str] = {}
        self.labels: dict[str, dict[str, None]] = {}

    def mark(self, label: str, standard: str, deviations: dict[str, str]) -> str:
        """The letter of what differs from the number of the row `standard`; empty where nothing does."""
        if not deviations:
            return ""
        description = "; ".join(f"{words}: {values}" for words, values in deviations.items())
        letter = self.letters.setdefault((standard, description), _letter(len(self.letters)))
        self.labels.setdefault(letter, {})[label] = None
        return letter

    def texts(self) -> dict[str, str]:
        """Letter -> its footnote."""
        return {
            letter: f"{_first_few(list(self.labels[letter]))}: not made like {standard}, and not compared with it "
            f"({description})."
            for (standard, description), letter in self.letters.items()
        }


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _first_few(labels: list[str], most: int = 6) -> str:
    shown = [plain(label) for label in labels[:most]]
    return listed(shown) if len(labels) <= most else f"{', '.join(shown)} and {len(labels) - most} more"


@dataclass(frozen=True, eq=False)
class _Comparer:
    """Compares rows, one metric after the other; all metrics share their footnotes."""

    rows: list[TableRow]
    baseline: TableRow | None
    references: dict[str, tuple[Arm, str]]
    footnotes: Footnotes
    halves: Halves
    precision: int | None
    largest: dict[tuple[str, str, str], float]

    def metric(self, key: Key) -> Metric:
        scores = {row.label: repeats for row in self.rows if (repeats := row.scores(key))}
        standard = self.baseline.label if self.baseline and self.baseline.label in scores else next(iter(scores))
        deviations = {label: unlike_in(repeats, scores[standard]) for label, repeats in scores.items()}
        marks = {label: self.footnotes.mark(label, standard, unlike) for label, unlike in deviations.items()}
        scale = SCALES.get(key[1], 1) if self.largest.get(key[:3], 0) < LARGEST_SCALED else 1
        results = {
            row.label: self._difference(scores.get(row.label, {}), scores, deviations.get(row.label, {}))
            for row in self.rows
            if self.baseline not in (None, row)
        }
        return Metric(
            *key,
            better=next(iter(scores[standard].values())).kind.better or "",
            scale=scale,
            arms={label: self._number([*repeats.values()], scale, marks[label]) for label, repeats in scores.items()},
            references={
                title: self._number([arm.scores[subject, key]], scale)
                for title, (arm, subject) in self.references.items()
                if (subject, key) in arm.scores
            },
            differences={label: delta for label, delta in results.items() if isinstance(delta, Delta)},
            refusals={label: reason for label, reason in results.items() if isinstance(reason, str)},
        )

    def _difference(self, repeats: Repeats, scores: dict[str, Repeats], deviations: dict[str, str]) -> Delta | str:
        """To the baseline."""
        of_baseline = scores.get(self.baseline.label, {}) if self.baseline else {}
        return difference_of(repeats, of_baseline, deviations, self.halves)

    def _number(self, scores: Sequence[StoredScore], scale: float, mark: str = "") -> Number:
        return Number.of(scores, scale, self.precision, mark)
