"""Whether two scores may be compared, and whether two arms differ.

Two arms are compared through the differences of their halves (`mep.evaluation.uncertainty`), on the same real halves:
what real images happen to be in a half, and what its size adds, is then the same for both and cancels.

The intervals of a single run say that two sets of images differ, not that two ways of training do. That takes several
trainings an arm, `seeds: n` in a recipe, and `paired_by_seed`. Where many metrics are tested, `holm` keeps the chance
of one false alarm among them at the level of one test.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from mep.artifacts.score_row import JsonObject
from mep.config import canonical_json
from mep.errors import DataError
from mep.evaluation.uncertainty import Halves, freedom_of, spread
from mep.statistics.intervals import level_at_once, quantile

FEWEST_SEEDS = 3
"""Trainings an arm below which nothing is said about the method: two leave an interval 12.7 errors wide."""
ROUND_OFF = 1e-9
"""Share of the scores below which their differences differ by arithmetic alone."""
COMPARED = {
    "reference": "the reference set",
    "digest": "the weights of the extractor",
    "layer": "the layer of the extractor",
    "d": "the width of the features",
    "preprocessing": "the preprocessing",
    "eval_resolution": "the resolution",
    "resize": "the way of resizing",
    "image_format": "the image files",
    "dtype": "the arithmetic",
    "n_real": "the number of real images",
    "n_fake": "the number of generated images",
    "k": "the number of neighbours",
    "kernel": "the kernel",
    "settings": "the settings of the score",
    "matched_by": "what real images were matched by",
    "matched_images": "the real images that match the mix they were trained on",
    "seed": "the seed of subsets and halves",
}
"""What two rows must share to stand in one column, and its name in "they differ in ...".

Sampler, guidance, steps and training are what an experiment varies: they are recorded and not compared."""


@dataclass(frozen=True)
class Difference:
    """One arm's score minus another's, the 95 % interval from low to high, and the p-value of no difference.

    freedom     degrees of freedom behind the error; None: the error is taken for known
    """

    value: float
    se: float
    low: float
    high: float
    p: float
    freedom: int | None = field(default=None, kw_only=True)


AnyDifference = TypeVar("AnyDifference", bound=Difference)


@dataclass(frozen=True)
class SeedDifference:
    """One arm minus another over several trainings, paired by seed: mean, 95 % t-interval, p of the paired t-test.

    values      the difference of every pair, by seed; of fewer than two, and of pairs that all differ by the same,
                there is no interval and no p
    supported   whether there are trainings enough (three) to speak of the method at all
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    values: dict[int, float]
    supported: bool
    sentence: str


def unlike(row_a: JsonObject, row_b: JsonObject) -> list[str]:
    """What keeps two numbers from being compared, in words; empty where nothing does. What neither row has is alike."""
    return [
        words for name, words in COMPARED.items() if canonical_json(row_a.get(name)) != canonical_json(row_b.get(name))
    ]


def difference(halves_a: Halves, halves_b: Halves, value_a: float, value_b: float) -> Difference:
    """Arm a minus arm b with a 95 % interval, Student's by the number of pairs of halves, the real halves shared.

    halves_a, halves_b   float64 (pairs, 2)   one metric of `jackknife`, both with the same seed and the same real set;
                                              or float64 (s,), the metric on resamples, as those of probes are
    value_a, value_b     the metric on the whole sets, equally many images in both arms

    DataError            unlike numbers of halves
    """
    if halves_a.shape != halves_b.shape:
        raise DataError(
            f"one arm was measured on {halves_a.size} halves, the other on {halves_b.size}, or in another way",
            hint="measure both arms with the same recipe and the same version of mep",
        )
    moved = halves_a - halves_b
    return difference_by_error(value_a - value_b, float(spread(moved)), freedom_of(moved))


def difference_by_error(value: float, se: float, freedom: int | None = None) -> Difference:
    """A difference with its 95 % interval and the p-value that agrees with it: normal, or Student's."""
    from scipy.special import ndtr, stdtr

    reach = quantile(freedom) * se
    if se == 0:
        p = float(value == 0)
    else:
        p = 2 * float(ndtr(-abs(value) / se) if freedom is None else stdtr(freedom, -abs(value) / se))
    return Difference(value, se, value - reach, value + reach, p, freedom=freedom)


def at_once(delta: AnyDifference, n_arms: int) -> AnyDifference:
    """The same difference with an interval and a p that allow for the choice among so many arms.

    The chance that any of the intervals misses its true difference is then at most 5 %, whichever arm is looked at:
    arms that share a baseline are positively dependent, so that the bound for independent ones holds.

    Source  Šidák 1967, J. Am. Stat. Assoc. 62:626
    """
    if n_arms < 2:
        return delta
    reach = quantile(delta.freedom, level_at_once(n_arms)) * delta.se
    p = -math.expm1(n_arms * math.log1p(-delta.p)) if delta.p < 1 else 1.0
    return replace(delta, low=delta.value - reach, high=delta.value + reach, p=p)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false alarm among them is at most the level; in the given order.

    Source  Holm 1979, Scand. J. Stat. 6:65
    """
    adjusted, running = [math.nan] * len(p_values), 0.0
    tested = [row for row in range(len(p_values)) if not math.isnan(p_values[row])]
    for rank, row in enumerate(sorted(tested, key=lambda row: p_values[row])):
        running = max(running, min(1.0, (len(tested) - rank) * p_values[row]))
        adjusted[row] = running
    return adjusted


def paired_by_seed(values_a: Mapping[int, float], values_b: Mapping[int, float]) -> SeedDifference:
    """Arm a minus arm b over the trainings that both have, paired by seed or repeat: what speaks of the method.

    values_a, values_b  repeat -> score, one metric under one protocol

    DataError           no repeat that both have
    """
    seeds = sorted(set(values_a) & set(values_b))
    if not seeds:
        raise DataError("the two arms have no training seed in common", hint="repeat both with seeds: n")
    values = {seed: values_a[seed] - values_b[seed] for seed in seeds}
    n, mean = len(seeds), float(np.mean(list(values.values())))
    if n == 1:
        claim = "this compares two sets of images and cannot support a claim about the method"
        return SeedDifference(mean, None, None, None, values, False, f"one training seed an arm: {claim}")
    largest = max(abs(score[seed]) for score in (values_a, values_b) for seed in seeds)
    if mean != 0 and np.ptp(list(values.values())) <= ROUND_OFF * largest:  # shares of few images are often alike
        sentence = f"all {n} pairs of trainings differ by the same, which leaves no spread to judge it by"
        return SeedDifference(mean, None, None, None, values, False, sentence)
    found = difference_by_error(mean, float(np.std(list(values.values()), ddof=1)) / math.sqrt(n), n - 1)
    if n < FEWEST_SEEDS:
        sentence = f"{n} training seeds an arm are too few for a claim about the method; {FEWEST_SEEDS} are the least"
    elif found.low <= 0 <= found.high:
        sentence = f"over {n} training seeds the methods cannot be told apart"
    else:
        sentence = f"over {n} training seeds the methods differ"
    return SeedDifference(mean, found.low, found.high, found.p, values, n >= FEWEST_SEEDS, sentence)
