"""From two sets of features to a number with its error, and from there to a row of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

import mep
from mep.artifacts.score_row import (
    Counts,
    Estimate,
    JsonObject,
    Matching,
    Missing,
    Null,
    Reason,
    ScoreProtocol,
    ScoreRow,
)
from mep.evaluation.uncertainty import EvaluationSettings, Groups, Halves, jackknife
from mep.methods.scores import Measured, Rows, Score, measure_all
from mep.statistics.influence import Influence, Keys, error_of_one, keys_of
from mep.statistics.intervals import quantile, standard_error

FEWEST_GROUPS = 10
"""Slides or patients below which an uncertainty over them is itself a guess."""

MetricName = Callable[[str, int, JsonObject], str]
"""A metric, the number of images and the score's settings -> what it is called in this feature space."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """A metric of two sets; `missing` is why there is no value, or what it leaves out.

    influence   what every image adds, where that has a closed form
    """

    estimate: Estimate
    halves: Halves
    missing: Missing | None = None
    flags: tuple[str, ...] = ()
    influence: Influence | None = None

    @classmethod
    def absent(cls, missing: Missing, n_halves: int) -> Self:
        return cls(Estimate(), no_halves(n_halves), missing)


@dataclass(frozen=True, eq=False)
class Scored:
    """A score, its values on random halves, and what every image adds to it where that has a closed form."""

    row: ScoreRow
    halves: Halves
    influence: Influence | None = None


@dataclass(frozen=True)
class Comparison:
    """Two sets of images that were compared: what their rows have in common, whatever the score."""

    subject: str
    counts: Counts
    protocol: ScoreProtocol
    reference: str = "heldout"
    group: str = "all"
    matching: Matching | None = None
    flags: tuple[str, ...] = ()
    metric_name: MetricName = lambda metric, n, settings: metric

    def scored(self, score: Score, metric: str, measurement: Measurement, null: Null, *, suffix: str = "") -> Scored:
        """The row of a metric; `suffix` is added to its name, as in fd_excess."""
        settings = score.dump()
        row = ScoreRow(
            metric=self.metric_name(metric + suffix, self.counts.n_real, settings),
            subject=self.subject,
            estimate=measurement.estimate,
            null=null,
            better=score.better[metric],
            reference=self.reference,
            group=self.group,
            counts=self.counts,
            protocol=replace(self.protocol, settings=settings, **score.protocol(metric)),
            version=mep.__version__,
            flags=[*self.flags, *measurement.flags, *self._flags(score, measurement)],
            reason=measurement.missing.text if measurement.missing else None,
            matching=self.matching,
        )
        return Scored(row, measurement.halves, measurement.influence)

    def _flags(self, score: Score, measurement: Measurement) -> Iterator[str]:
        if measurement.estimate.value is None:
            yield (measurement.missing.reason if measurement.missing else Reason.NO_VALUE).value
        if score.full_rank and self.counts.n_real <= (self.protocol.d or 0):
            yield "rank_deficient"
        if few_groups(self.counts):
            yield "few_groups"
        formats = self.protocol.image_format
        if formats and formats["real"] != formats["fake"] and "jpeg" in str(formats):
            yield "unlike_formats"


def few_groups(counts: Counts) -> bool:
    """Whether there are too few slides or patients for an error over them."""
    return counts.n_groups is not None and counts.n_groups < FEWEST_GROUPS


def estimated(value: float | None, se: float | None, method: str | None, freedom: int | None = None) -> Estimate:
    """A number with its 95 % interval where it has an error: normal, or Student's with degrees of freedom."""
    if value is None or se is None:
        return Estimate(value, se, method=method)
    reach = quantile(freedom) * se
    return Estimate(value, se, value - reach, value + reach, method)


def no_halves(n_halves: int) -> Halves:
    """nan in place of what a metric is on halves."""
    return np.full((n_halves // 2, 2), np.nan)


def measure(
    scores: Sequence[Score],
    real: Rows,
    fake: Rows,
    settings: EvaluationSettings,
    groups: Groups | None = None,
    *,
    paired: bool = False,
) -> list[dict[str, Measurement]]:
    """Metric -> measurement, for every score: all of them in one pass over the pairs, and one for each half.

    groups and paired are those of `jackknife`
    """
    measured = measure_all(scores, real, fake, device=settings.device)
    halves: dict[int, dict[str, Halves]] = {}
    if settings.n_halves > 1 and min(len(real), len(fake)) >= 4:
        able = [place for place, score in enumerate(scores) if score.halved and not measured[place].missing]
        on_halves = jackknife([scores[place] for place in able], real, fake, settings, groups, paired=paired)
        halves = dict(zip(able, on_halves, strict=True))
    absent = no_halves(settings.n_halves)
    keys = keys_of(real) if groups is None else None
    return [
        {
            metric: _measurement(metric, measured[place], halves.get(place, {}).get(metric, absent), keys)
            for metric in score.better
        }
        for place, score in enumerate(scores)
    ]


def _measurement(metric: str, measured: Measured, halves: Halves, keys: Keys | None) -> Measurement:
    """keys: of the real images; None where they are not independent, as errors in closed form suppose."""
    value = measured.values.get(metric)
    if value is None:
        unfit = Missing(Reason.NO_VALUE, "it does not apply to these images")
        return Measurement(Estimate(), halves, measured.missing or unfit)
    if metric in measured.influences and keys is not None:
        influence = replace(measured.influences[metric], keys=keys)
        estimate = estimated(value, error_of_one(influence), "closed form, image by image")
        return Measurement(estimate, halves, influence=influence)
    se = jackknife_error(halves)
    if se is None:
        return Measurement(Estimate(value), halves)
    if se == 0:  # a share that is 0 or 1 on every half is not certain: nobody knows how far from it the truth may be
        return Measurement(Estimate(value), halves, flags=("no_spread",))
    method = f"{len(halves)} pairs of halves{'' if keys is not None else ' of whole slides or patients'}"
    return Measurement(estimated(value, se, method, len(halves) - 1), halves)


def jackknife_error(halves: Halves) -> float | None:
    """Standard error from the spread of the halves; None where some have no value."""
    return float(standard_error(halves)) if len(halves) > 1 and np.isfinite(halves).all() else None
