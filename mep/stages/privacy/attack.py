"""What an attack finds: how well its suspicion tells training images from others, and how certain that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.score_row import Estimate
from mep.stages.privacy.asked import FEWEST, HELD_OUT, MEMBER, UNSEEN, Asked
from mep.statistics import classification
from mep.statistics.intervals import Z_95, clopper_pearson

Suspicion: TypeAlias = NDArray[np.float64]
"""How strongly an attack holds every image for a training image, float64 (n,)."""

RATES = {"_tpr10": 0.1, "_tpr1": 0.01}
"""End of a metric's name -> share of the held-out images that the attack may take for training images."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A number, and what it is on resamples of the images, float64 (s,).

    chance  what it is of images that the model has not seen; None where there are none, and `why` says so
    """

    estimate: Estimate
    resampled: NDArray[np.float64]
    chance: float | None
    why: str = ""


def findings(suspicion: Suspicion, asked: Asked, n_resamples: int, seed: int) -> Mapping[str, Finding]:
    """End of a metric's name -> finding.

    ""          area under the ROC curve of training against held-out images
    _excess     the first area less the second, of the same held-out images where unseen ones are that many
    _tpr10, _tpr1   share of the training images that are found where 10 % or 1 % of the held-out ones are wrongly
                accused (Carlini et al. 2022, arXiv:2112.03570)

    The chance of each is what it is of unseen images of the training side in the place of the training images: those
    the model cannot remember, and what is found in them is that the two sides of the split are not alike.
    """
    tested, control = asked.roles != UNSEEN, (asked.roles == UNSEEN) | asked.controls
    has_control = asked.count(UNSEEN) >= FEWEST
    n_held_out = asked.count(HELD_OUT)
    rates = {end: rate for end, rate in RATES.items() if n_held_out * rate >= 1}

    def numbers(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        area = _area(suspicion, asked.roles == MEMBER, tested, weights)
        found = {"": area}
        if has_control:
            found["_excess"] = area - _area(suspicion, asked.roles == UNSEEN, control, weights)
        positive, of_tested = asked.roles[tested] == MEMBER, weights[:, tested]
        for end, rate in rates.items():
            found[end] = classification.found_at(suspicion[tested], positive, of_tested, rate)
        return found

    def found_unseen(rate: float) -> float:
        are_unseen = asked.roles[control] == UNSEEN
        return float(classification.found_at(suspicion[control], are_unseen, np.ones((1, control.sum())), rate)[0])

    whole = {end: float(value[0]) for end, value in numbers(np.ones((1, len(asked)))).items()}
    drawn = [numbers(weights) for weights in classification.resamples(asked.groups, asked.roles, n_resamples, seed)]
    resampled = {end: np.concatenate([one[end] for one in drawn]) for end in whole}
    chance: dict[str, float] = {"_excess": 0.0}
    if has_control:
        chance |= {"": whole[""] - whole["_excess"]} | {end: found_unseen(rate) for end, rate in rates.items()}
    estimates = {end: _by_bootstrap(whole[end], resampled[end], asked) for end in whole}
    estimates[""] = _of_area(suspicion, estimates[""], asked)
    n_independent = len(np.unique(asked.groups[asked.roles == MEMBER]))
    estimates |= {end: _of_share(estimates[end], n_independent) for end in rates}
    why = "" if has_control else f"{asked.count(UNSEEN)} images of the training side are left that it has not seen"
    return {end: Finding(estimates[end], resampled[end], chance.get(end), why) for end in whole}


def _area(
    suspicion: Suspicion, positive: NDArray[np.bool_], among: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    columns = np.column_stack([-suspicion, suspicion])[among]
    return classification.auroc(columns, positive[among].astype(np.int64), weights[:, among])


def _by_bootstrap(value: float, resampled: NDArray[np.float64], asked: Asked) -> Estimate:
    finite = resampled[np.isfinite(resampled)]
    if len(finite) < 2 or np.ptp(finite) < 1e-12:
        return Estimate(value, method="none: every resample gives the same")
    low, high = np.quantile(finite, [0.025, 0.975])
    kind = "bootstrap" if asked.independent else "group bootstrap"
    return Estimate(value, float(finite.std(ddof=1)), float(low), float(high), f"{kind}, percentiles")


def _of_area(suspicion: Suspicion, drawn: Estimate, asked: Asked) -> Estimate:
    """DeLong in the logit where images are independent, bootstrap of groups, Newcombe at the ends."""
    tested = asked.roles != UNSEEN
    labels, value = (asked.roles[tested] == MEMBER).astype(np.int64), drawn.value or 0.0
    columns = np.column_stack([-suspicion, suspicion])[tested]
    if asked.independent:
        influence = classification.influence(columns, labels)
        se = float(np.sqrt(classification.delong_variance(influence, labels)))
        if se > 1e-12 and 0 < value < 1:
            return Estimate(value, se, *classification.logit_interval(value, se, Z_95), "DeLong, logit")
    elif drawn.se and 0 < value < 1:
        return drawn
    found, others = (len(np.unique(asked.groups[tested][labels == is_member])) for is_member in (1, 0))
    return Estimate(value, None, *classification.score_interval(value, found, others, Z_95), "Newcombe 2006, method 5")


def _of_share(drawn: Estimate, n: int) -> Estimate:
    """The wider of the bootstrap, which moves the cut, and the exact interval, which knows how little 0 of n says.

    n   training images, or the slides and patients that they are of: images of one patient are not n cases
    """
    value = drawn.value or 0.0
    exact = clopper_pearson(round(value * n), n)
    ends = [(drawn.low, exact.low), (drawn.high, exact.high)]
    low, high = (pick(end for end in pair if end is not None) for pick, pair in zip((min, max), ends, strict=True))
    return Estimate(value, drawn.se, low, high, f"{drawn.method}, and Clopper-Pearson: the wider ends")
