"""Rows of the stage `utility`: every number of a probe with its interval and its whole protocol.

n_real counts held-out images and n_fake synthetic training images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import mep
from mep.artifacts.score_row import COLUMNS, ScoreRow
from mep.evaluation.measurement import FEWEST_GROUPS
from mep.stages.utility.probing import BETTER, Estimate, HeldOut, Predictions, difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALONE = "all"
"""Group of the rows that tell of synthetic images alone; the other groups are mixtures with real ones."""

SUBJECTS = ("samples", "train", "matched")


class Rows:
    """Rows and, for each, the number on every resample.

    common      protocol that all of them share
    margin      of non-inferiority
    """

    def __init__(self, common: Mapping[str, Any], n_resamples: int, margin: float):
        self.common = dict.fromkeys(COLUMNS) | {"version": mep.__version__, "reference": "heldout"} | dict(common)
        self.n_resamples, self.margin = n_resamples, margin
        self.rows: list[ScoreRow] = []
        self.resampled: list[NDArray[np.float64]] = []

    def add(self, metric: str, subject: str, group: str, found: Estimate | str, **more: Any) -> None:
        """A number, or why there is none."""
        row = self.common | {"metric": metric, "subject": subject, "group": group}
        row["better"] = BETTER.get(metric, "higher")
        flags = list(self.common["flags"] or [])
        if isinstance(found, str):
            row |= {"n_fake": 0, "reason": found, "null_reason": found}
            flags.append("no_utility")
            self.resampled.append(np.full(self.n_resamples, np.nan))
        else:
            row |= {name: getattr(found, name) for name in ("value", "se", "low", "high", "method")}
            flags += ["no_spread"] if found.se is None else []
            self.resampled.append(found.resampled)
        if row["n_groups"] is not None and row["n_groups"] < FEWEST_GROUPS:
            flags.append("few_groups")
        self.rows.append(ScoreRow.from_json(row | more | {"flags": flags}))

    def add_group(
        self,
        group: str,
        found: Mapping[str, Predictions],
        estimates: Mapping[str, dict[str, Estimate]],
        refusals: Mapping[str, str],
        heldout: HeldOut,
    ) -> None:
        """All metrics of synthetic images alone, or of a mixture; of a mixture that is refused, one gap."""
        for metric in BETTER:
            for subject in SUBJECTS:
                name = f"{subject}/{group}"
                if name in found:
                    null = self._null(metric, subject, group, estimates)
                    self.add(metric, subject, group, estimates[name][metric], **null, **_sizes(found[name]))
                elif name in refusals and (metric == "auroc" or group == ALONE):
                    self.add(metric, subject, group, refusals[name])
        self._compare(group, found, estimates, heldout)

    def _null(
        self, metric: str, subject: str, group: str, estimates: Mapping[str, dict[str, Estimate]]
    ) -> dict[str, Any]:
        """What training on real images alone reaches."""
        real = estimates.get(f"train/{group}")
        if subject == "train" or real is None:
            return {
                "null_reason": "it is that of real images itself" if real else "no probe was trained on real images"
            }
        return {"null": real[metric].value}

    def _compare(
        self,
        group: str,
        found: Mapping[str, Predictions],
        estimates: Mapping[str, dict[str, Estimate]],
        heldout: HeldOut,
    ) -> None:
        """Synthetic images alone against real ones; a mixture against as many real images."""
        metric, other = ("auroc_gap", "train") if group == ALONE else ("auroc_gain", "matched")
        names = f"samples/{group}", f"{other}/{group}"
        if any(name not in found for name in names):
            return
        first, second = ((found[name], estimates[name]["auroc"]) for name in names)
        delta, p = difference(first, second, heldout)
        more = _sizes(found[names[0]]) | {"p": p, "null": 0.0}
        if group == ALONE:
            more |= {"margin": self.margin, "verdict": verdict(delta, self.margin)}
            more["statement"] = statement(first[1], second[1], delta, self.margin)
        self.add(metric, "samples", group, delta, **more)

    def halves(self) -> NDArray[np.float64]:
        """float64 (rows, resamples)"""
        return np.stack(self.resampled) if self.rows else np.zeros((0, self.n_resamples))


def _sizes(found: Predictions) -> dict[str, Any]:
    return {
        "n_fake": found.n_fake,
        "n_train_real": found.n_real,
        "trainings": len(found.probabilities),
        "chosen": found.chosen,
    }


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
    told = f"{areas}: a difference of {delta.value:+.3f} (95 % interval {delta.low:+.3f} to {delta.high:+.3f})."
    return (
        told
        + {
            "superior": " The synthetic images are worth more.",
            "non-inferior": f" They are non-inferior: a loss of {margin:g} or more is excluded.",
            "inferior": f" They are inferior: the loss is larger than the margin of {margin:g}.",
            "undecided": f" Non-inferiority is not shown: a loss of {margin:g} is neither excluded nor certain.",
        }[verdict(delta, margin)]
    )
