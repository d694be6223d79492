"""Rows of the stage `utility`: every number of a probe with its interval and its whole protocol.

n_real counts held-out images and n_fake synthetic training images.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import score_row
from mep.artifacts.score_row import DifferenceTest, NonInferiority, Null, ProbeTraining, Reason, ScoreRow
from mep.evaluation.measurement import few_groups
from mep.stages.utility.probing import BETTER, Estimate, HeldOut, Predictions, difference

ALONE = "all"
"""Group of the rows that tell of synthetic images alone; the other groups are mixtures with real ones."""

Trained: TypeAlias = Mapping[str, Predictions]
Estimates: TypeAlias = Mapping[str, dict[str, Estimate]]
"""subject/group -> metric -> estimate."""


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

    def add_group(
        self, group: str, predictions: Trained, estimates: Estimates, refusals: Mapping[str, str], heldout: HeldOut
    ) -> None:
        """All metrics of synthetic images alone, or of a mixture; of a mixture that is refused, one gap."""
        for metric, subject in product(BETTER, ("samples", "train", "matched")):
            name = f"{subject}/{group}"
            if name in predictions:
                estimate = estimates[name][metric]
                row = self._row(metric, subject, group, *([] if estimate.se is not None else ["no_spread"]))
                self.add(row, estimate, predictions[name], _null(metric, subject, estimates.get(f"train/{group}")))
            elif name in refusals and (metric == "auroc" or group == ALONE):
                self.refuse(subject, group, refusals[name], metric)
        self._compare(group, predictions, estimates, heldout)

    def _compare(self, group: str, predictions: Trained, estimates: Estimates, heldout: HeldOut) -> None:
        """Synthetic images alone against real ones; a mixture against as many real images."""
        metric, other = ("auroc_gap", "train") if group == ALONE else ("auroc_gain", "matched")
        names = f"samples/{group}", f"{other}/{group}"
        if any(name not in predictions for name in names):
            return
        first, second = ((predictions[name], estimates[name]["auroc"]) for name in names)
        delta, p = difference(first, second, heldout)
        row = self._row(metric, "samples", group, *([] if delta.se is not None else ["no_spread"]))
        row = replace(row, test=DifferenceTest(p))
        if group == ALONE:
            sentence = statement(first[1], second[1], delta, self.margin)
            row = replace(row, non_inferiority=NonInferiority(self.margin, verdict(delta, self.margin), sentence))
        self.add(row, delta, first[0], Null(0.0))

    def _row(self, metric: str, subject: str, group: str, *flags: str) -> ScoreRow:
        flags = (*self.template.flags, *flags, *(["few_groups"] if few_groups(self.template.counts) else []))
        better = BETTER.get(metric, "higher")
        return replace(self.template, metric=metric, subject=subject, group=group, better=better, flags=list(flags))

    def halves(self) -> NDArray[np.float64]:
        """float64 (rows, resamples)"""
        return np.stack(self.resampled) if self.rows else np.zeros((0, self.n_resamples))


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
