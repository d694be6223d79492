"""From two sets of features to a number with its error, and from there to a row of scores."""

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
from mep.statistics.intervals import Z_95, standard_error

FEWEST_GROUPS = 10
"""Slides or patients below which an uncertainty over them is itself a guess."""

MetricName = Callable[[str, int, JsonObject], str]
"""A metric, the number of images and the score's settings -> what it is called in this feature space."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """A metric of two sets; `missing` is why there is no value, or what it leaves out."""

    estimate: Estimate
    halves: Halves
    missing: Missing | None = None
    flags: tuple[str, ...] = ()

    @classmethod
    def absent(cls, missing: Missing, n_halves: int) -> Self:
        return cls(Estimate(), np.full(n_halves, np.nan), missing)


@dataclass(frozen=True, eq=False)
class Scored:
    """A score, and its values on random halves."""

    row: ScoreRow
    halves: Halves


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
        return Scored(row, measurement.halves)

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


def normal_estimate(value: float | None, se: float | None, method: str | None) -> Estimate:
    """A number with its normal 95 % interval, where it has an error."""
    if value is None or se is None:
        return Estimate(value, se, method=method)
    return Estimate(value, se, value - Z_95 * se, value + Z_95 * se, method)


def measure(
    scores: Sequence[Score], real: Rows, fake: Rows, settings: EvaluationSettings, groups: Groups | None = None
) -> list[dict[str, Measurement]]:
    """Metric -> measurement, for every score: all of them in one pass over the pairs, and one for each half."""
    measured = measure_all(scores, real, fake, device=settings.device)
    halves: dict[int, dict[str, Halves]] = {}
    if settings.n_halves and min(len(real), len(fake)) >= 4:
        able = [place for place, score in enumerate(scores) if score.halved and not measured[place].missing]
        on_halves = jackknife([scores[place] for place in able], real, fake, settings, groups)
        halves = dict(zip(able, on_halves, strict=True))
    no_halves = np.full(settings.n_halves, np.nan)
    return [
        {
            metric: _measurement(metric, measured[place], halves.get(place, {}).get(metric, no_halves), groups is None)
            for metric in score.better
        }
        for place, score in enumerate(scores)
    ]


def _measurement(metric: str, measured: Measured, halves: Halves, independent: bool) -> Measurement:
    """independent: whether images are, as errors in closed form suppose."""
    value = measured.values.get(metric)
    if value is None:
        unfit = Missing(Reason.NO_VALUE, "it does not apply to these images")
        return Measurement(Estimate(), halves, measured.missing or unfit)
    if metric in measured.errors and independent:
        estimate = normal_estimate(value, measured.errors[metric], "jackknife, one image at a time")
        return Measurement(estimate, halves)
    se = jackknife_error(halves)
    if se is None:
        return Measurement(Estimate(value), halves)
    if se == 0:  # a share that is 0 or 1 on every half is not certain: nobody knows how far from it the truth may be
        return Measurement(Estimate(value), halves, flags=("no_spread",))
    method = f"delete-half jackknife, {len(halves)} halves{'' if independent else ' of whole slides or patients'}"
    return Measurement(normal_estimate(value, se, method), halves)


def jackknife_error(halves: Halves) -> float | None:
    """Standard error from the spread of the halves; None where some have no value."""
    return standard_error(halves) if len(halves) > 1 and np.isfinite(halves).all() else None
