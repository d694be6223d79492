"""All scores of all subjects, each beside what real images reach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mep.artifacts.score_row import Estimate, Missing, Null, Reason
from mep.errors import DataError
from mep.evaluation.matching import Match
from mep.evaluation.measurement import Measurement, Scored, estimated, jackknife_error, measure
from mep.evaluation.space import EqualSizeSets, Space
from mep.evaluation.uncertainty import EvaluationSettings
from mep.methods.scores import Score, missing_of


def evaluate(
    space: Space,
    scores: Sequence[Score],
    settings: EvaluationSettings,
    *,
    most: int | None = None,
    match: Match | None = None,
) -> list[Scored]:
    """Every score of every subject against held-out images, and of the samples against training images.

    All sets are first drawn down to the size of the smallest, and to `most`. With a match they are also drawn to one
    mix and scored again, against the reference `matched`.
    """
    sets = EqualSizeSets.draw(space, settings.seed, most)
    scores = [score for score in scores if score.reads == "features"]
    of_pairs = [score for score in scores if not score.needs_train]
    measured = _measured(sets, of_pairs, settings)
    results = _results(sets, of_pairs, measured)
    matched_rows: list[Scored] = []
    if match is not None:
        matched = EqualSizeSets.matched(space, match, settings.seed)
        again = _results(matched, of_pairs, _measured(matched, of_pairs, settings, (sets, measured)))
        matched_rows = [row for result in again for row in _heldout_rows(matched, result)]
    return [
        *matched_rows,
        *(row for result in results for row in _heldout_rows(sets, result)),
        *_gap_rows(sets, [result for result in results if result.score.gap], settings),
        *(row for score in scores if score.needs_train for row in _train_rows(sets, score, settings)),
    ]


@dataclass(frozen=True, eq=False)
class _Result:
    """One score against held-out images: subject -> metric -> measurement, and what real images reach by metric."""

    score: Score
    subjects: dict[str, dict[str, Measurement]]
    nulls: dict[str, float | Missing]


_Measurements = dict[str, list[dict[str, Measurement]]]
"""Subject -> metric -> measurement, for every score."""


def _measured(
    sets: EqualSizeSets,
    scores: Sequence[Score],
    settings: EvaluationSettings,
    known: tuple[EqualSizeSets, _Measurements] | None = None,
) -> _Measurements:
    """All subjects against the held-out images; what is known of the very same images is not measured again."""
    return {
        subject: known[1][subject]
        if known and _same(sets, known[0], subject)
        else measure(scores, sets.real, fake, settings, sets.groups)
        for subject, fake in sets.fakes.items()
    }


def _same(sets: EqualSizeSets, others: EqualSizeSets, subject: str) -> bool:
    other = others.fakes.get(subject)
    return np.array_equal(sets.real, others.real) and other is not None and np.array_equal(sets.fakes[subject], other)


def _results(sets: EqualSizeSets, scores: Sequence[Score], measured: _Measurements) -> list[_Result]:
    results = []
    for score, of_score in zip(scores, zip(*measured.values(), strict=True), strict=True):
        subjects = dict(zip(sets.fakes, of_score, strict=True))
        results.append(_Result(score, subjects, _nulls(score, sets, subjects.get("train", {}))))
    return results


def _nulls(score: Score, sets: EqualSizeSets, of_train: dict[str, Measurement]) -> dict[str, float | Missing]:
    """What real images reach: as the score knows it, else what training images reach in the place of the fakes."""
    unknown = Missing(Reason.NO_VALUE, "without training images nobody knows what real ones reach")
    try:
        reached = score.null(sets.real, sets.fakes["samples"], sets.more, seed=sets.seed)
    except DataError as error:
        reached, unknown = {}, missing_of(error)
    nulls: dict[str, float | Missing] = {}
    for metric in score.better:
        train = of_train.get(metric, Measurement(Estimate(), np.empty(0)))
        value = reached.get(metric, train.estimate.value)
        nulls[metric] = (train.missing or unknown) if value is None else value
    return nulls


def _heldout_rows(sets: EqualSizeSets, result: _Result) -> Iterator[Scored]:
    for subject, measurements in result.subjects.items():
        comparison = sets.comparison(subject)
        for metric, measurement in measurements.items():
            yield comparison.scored(result.score, metric, measurement, Null.of(result.nulls[metric]))
            if metric in result.score.excess:
                yield from _excess_rows(sets, result, metric, subject)


def _excess_rows(sets: EqualSizeSets, result: _Result, metric: str, subject: str) -> Iterator[Scored]:
    """What real images reach at this n, as a row of its own, and what the subject exceeds it by."""
    measurement, null = result.subjects[subject][metric], result.nulls[metric]
    comparison, estimate = sets.comparison(subject), measurement.estimate
    if isinstance(null, Missing):
        no_null = Measurement.absent(null, measurement.halves.size)
        excess = replace(no_null, estimate=Estimate(method=estimate.method))
    else:
        no_null = Measurement(Estimate(null), np.full_like(measurement.halves, np.nan))
        value, low, high = (None if x is None else x - null for x in (estimate.value, estimate.low, estimate.high))
        estimate = Estimate(value, None if value is None else estimate.se, low, high, estimate.method)
        excess = Measurement(estimate, measurement.halves - null, measurement.missing)
    if subject == "samples":
        yield comparison.scored(result.score, metric, no_null, Null.of(null), suffix="_null")
    yield comparison.scored(result.score, metric, excess, Null(0.0), suffix="_excess")


def _gap_rows(sets: EqualSizeSets, results: Sequence[_Result], settings: EvaluationSettings) -> Iterator[Scored]:
    """Distances to training images, and how much farther the held-out ones are: 0 for a model that generalises."""
    train = sets.fakes.get("train")
    if train is None or not results:
        return
    scores = [result.score for result in results]
    for result, measurements in zip(results, measure(scores, train, sets.fakes["samples"], settings), strict=True):
        for metric, to_train in measurements.items():
            null = Null.of(result.nulls[metric])
            yield sets.comparison("samples", "train").scored(result.score, metric, to_train, null)
            gap = _gap(result.subjects["samples"][metric], to_train)
            yield sets.comparison("samples").scored(result.score, metric, gap, Null(0.0), suffix="_gap")


def _gap(to_heldout: Measurement, to_train: Measurement) -> Measurement:
    halves = to_heldout.halves - to_train.halves
    heldout, train = to_heldout.estimate, to_train.estimate
    if heldout.value is None or train.value is None:
        return Measurement(Estimate(), halves, to_heldout.missing or to_train.missing)
    se = jackknife_error(halves)
    method = None if se is None else f"{len(halves)} pairs of halves"
    return Measurement(estimated(heldout.value - train.value, se, method, len(halves) - 1), halves)


def _train_rows(sets: EqualSizeSets, score: Score, settings: EvaluationSettings) -> Iterator[Scored]:
    """A score that looks for the samples among all training images, beside what held-out images reach."""
    try:
        samples, train = sets.fakes["samples"], sets.space.train
        real, fake = score.describe(sets.real, samples, train, seed=sets.seed, device=settings.device)
        reached = score.null(real, fake, None, seed=sets.seed)
        measurements = measure([score], real, fake, settings, sets.groups)[0]
    except DataError as error:
        reached = {}
        measurements = dict.fromkeys(score.better, Measurement.absent(missing_of(error), settings.n_halves))
    for metric, measurement in measurements.items():
        unknown = measurement.missing or Missing(Reason.NO_VALUE, "held-out images have no such value")
        null = Null.of(reached.get(metric, unknown))
        yield sets.comparison("samples", "train").scored(score, metric, measurement, null)
