"""Rows of the stage `utility`: every number of a probe with its interval and its whole protocol.

n_real counts held-out images and n_fake synthetic training images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import score_row
from mep.artifacts.score_row import DifferenceTest, NonInferiority, Null, ProbeTraining, Reason, ScoreRow
from mep.evaluation.measurement import few_groups
from mep.machine.tables import named
from mep.stages.utility.probing import BETTER, Estimate, HeldOut, Predictions, difference, mean_over_tasks
from mep.stages.utility.tasks import ALONE, Task

Estimates: TypeAlias = Mapping[str, dict[str, Estimate]]
"""subject/group -> metric -> estimate."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one task, or the mean over several: subject/group -> predictions, or why there are none.

    left_out    group -> findings that its mean leaves out
    """

    task: Task
    heldout: HeldOut
    predictions: Mapping[str, Predictions]
    refusals: Mapping[str, str]
    estimates: Estimates
    left_out: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(eq=False)
class Rows:
    """Rows, made from one template, and for each the number on every resample; `margin` is of non-inferiority."""

    template: ScoreRow
    n_resamples: int
    margin: float
    rows: list[ScoreRow] = field(default_factory=list)
    resampled: list[NDArray[np.float64]] = field(default_factory=list)

    def refuse(self, subject: str, group: str, why: str, metric: str = "auroc") -> None:
        """A row without a number, that says why."""
        row = replace(self._row(metric, subject, group, Reason.NO_UTILITY.value), null=Null(None, why), reason=why)
        self.rows.append(row)
        self.resampled.append(np.full(self.n_resamples, np.nan))

    def add(self, row: ScoreRow, estimate: Estimate, predictions: Predictions, null: Null) -> None:
        """A number of probes that were trained in one way."""
        number = score_row.Estimate(estimate.value, estimate.se, estimate.low, estimate.high, estimate.method)
        counts = replace(row.counts, n_fake=predictions.n_fake)
        training = ProbeTraining(predictions.n_real, len(predictions.probabilities), predictions.chosen)
        self.rows.append(replace(row, estimate=number, null=null, counts=counts, training=training))
        self.resampled.append(estimate.resampled)

    def add_group(self, group: str, outcome: Outcome) -> None:
        """All metrics of synthetic images alone, or of a mixture; of a mixture that is refused, one gap."""
        predictions, estimates, refusals = outcome.predictions, outcome.estimates, outcome.refusals
        for metric, subject in product(BETTER, ("samples", "train", "matched")):
            name = f"{subject}/{group}"
            if name in predictions:
                estimate = estimates[name][metric]
                row = self._row_of(outcome, metric, subject, group, estimate)
                self.add(row, estimate, predictions[name], _null(metric, subject, estimates.get(f"train/{group}")))
            elif name in refusals and (metric == "auroc" or group == ALONE):
                self.refuse(subject, outcome.task.group(group), refusals[name], metric)
        self._compare(group, outcome)

    def _compare(self, group: str, outcome: Outcome) -> None:
        """Synthetic images alone against real ones; a mixture against as many real images."""
        predictions, estimates, heldout = outcome.predictions, outcome.estimates, outcome.heldout
        metric, other = ("auroc_gap", "train") if group == ALONE else ("auroc_gain", "matched")
        names = f"samples/{group}", f"{other}/{group}"
        if any(name not in predictions for name in names):
            return
        first, second = ((predictions[name], estimates[name]["auroc"]) for name in names)
        delta, p = difference(first, second, heldout)
        row = replace(self._row_of(outcome, metric, "samples", group, delta), test=DifferenceTest(p))
        if group == ALONE:
            of_what = f"Mean over {heldout.n_tasks} findings: " if heldout.n_tasks > 1 else outcome.task.called("")
            sentence = of_what + statement(first[1], second[1], delta, self.margin)
            row = replace(row, non_inferiority=NonInferiority(self.margin, verdict(delta, self.margin), sentence))
        self.add(row, delta, first[0], Null(0.0))

    def _row_of(self, outcome: Outcome, metric: str, subject: str, group: str, estimate: Estimate) -> ScoreRow:
        left_out = outcome.left_out.get(group, [])
        flags = [*([] if estimate.se is not None else ["no_spread"]), *(["groups_left_out"] if left_out else [])]
        row = self._row(metric, subject, outcome.task.group(group), *flags)
        if left_out:
            row = replace(row, reason=f"without {len(left_out)} findings that have too few images: {named(left_out)}")
        return replace(row, probe=row.probe and replace(row.probe, labels=outcome.task.names))

    def _row(self, metric: str, subject: str, group: str, *flags: str) -> ScoreRow:
        flags = (*self.template.flags, *flags, *(["few_groups"] if few_groups(self.template.counts) else []))
        better = BETTER.get(metric, "higher")
        return replace(self.template, metric=metric, subject=subject, group=group, better=better, flags=list(flags))

    def halves(self) -> NDArray[np.float64]:
        """float64 (rows, resamples)"""
        return np.stack(self.resampled) if self.rows else np.zeros((0, self.n_resamples))


def mean_outcome(outcomes: Sequence[Outcome], refused: Sequence[str], groups: Sequence[str]) -> Outcome:
    """The mean over findings, group by group: of those that have every number that one of them has.

    refused     findings that have no outcome
    """
    first = outcomes[0]
    findings = [outcome.task.finding for outcome in outcomes]
    heldout = replace(first.heldout, labels=first.heldout.strata, n_tasks=len(findings))
    predictions: dict[str, Predictions] = {}
    estimates: dict[str, dict[str, Estimate]] = {}
    refusals: dict[str, str] = {}
    left_out: dict[str, list[str]] = {}
    for group in groups:
        names = [f"{subject}/{group}" for subject in ("samples", "train", "matched")]
        there = {name for name in names for outcome in outcomes if name in outcome.predictions}
        whole = [outcome for outcome in outcomes if there <= outcome.predictions.keys()]
        left_out[group] = [*refused, *(name for name in findings if name not in {each.task.finding for each in whole})]
        for name in names:
            if name in there and whole:
                of_tasks = [outcome.predictions[name] for outcome in whole]
                trainings = range(len(of_tasks[0].chosen))
                chosen = [{each.task.finding: each.predictions[name].chosen[r] for each in whole} for r in trainings]
                predictions[name] = replace(of_tasks[0], chosen=chosen)
                estimates[name] = mean_over_tasks([outcome.estimates[name] for outcome in whole], heldout)
            elif why := [outcome.refusals[name] for outcome in outcomes if name in outcome.refusals]:
                refusals[name] = why[0]
    return Outcome(Task("", heldout.labels, findings), heldout, predictions, refusals, estimates, left_out)


def _null(metric: str, subject: str, real: dict[str, Estimate] | None) -> Null:
    """What training on real images alone reaches."""
    if real is None:
        return Null(None, "no probe was trained on real images")
    return Null(None, "it is that of real images itself") if subject == "train" else Null(real[metric].value)


def verdict(delta: Estimate, margin: float) -> str:
    """superior, non-inferior, inferior (by more than the margin) or undecided, from the 95 % interval alone."""
    if delta.low is None or delta.high is None:
        return "undecided"
    if delta.low > 0:
        return "superior"
    if delta.low > -margin:
        return "non-inferior"
    return "inferior" if delta.high < -margin else "undecided"


def statement(synthetic: Estimate, real: Estimate, delta: Estimate, margin: float) -> str:
    """The comparison of training on synthetic images with training on real ones, in a sentence or two."""
    areas = f"AUROC {synthetic.value:.3f} after training on synthetic images, {real.value:.3f} on real ones"
    if delta.low is None or delta.high is None:
        return (
            f"{areas}: on these held-out images the two cannot be told apart in any resample; the task is too easy, or "
            "there are too few images, to say what synthetic images are worth."
        )
    sentence = f"{areas}: a difference of {delta.value:+.3f} (95 % interval {delta.low:+.3f} to {delta.high:+.3f})."
    conclusions = {
        "superior": "The synthetic images are worth more.",
        "non-inferior": f"They are non-inferior: a loss of {margin:g} or more is excluded.",
        "inferior": f"They are inferior: the loss is larger than the margin of {margin:g}.",
        "undecided": f"Non-inferiority is not shown: a loss of {margin:g} is neither excluded nor certain.",
    }
    return f"{sentence} {conclusions[verdict(delta, margin)]}"
