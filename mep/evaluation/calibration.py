"""How large an effect known harm has on every metric, and how large an effect has to be to stand out from the noise."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.calibration import NOTICED, Effect
from mep.imaging.degradations import COPIES, LABELS, VARIETY, Change
from mep.methods.scores import FEWEST_IN_A_GROUP, Better, Rows, Score, measure_all
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid, kernel_distance
from mep.methods.scores.memorisation import COPY_QUANTILE, Memorisation
from mep.methods.scores.prdc import Prdc
from mep.statistics.distances import nearest_rows

Values: TypeAlias = dict[str, float]
Labels: TypeAlias = NDArray[np.int64]
Doses: TypeAlias = Mapping[tuple[str, float], Rows]
"""Kind of harm and dose -> float32 (n, d): the first n images of the pool, harmed."""

SCORES: tuple[Score, ...] = (Kid(kind="kid"), Frechet(kind="frechet"), Prdc(kind="prdc"))
BY_LABEL = "kid by label"
"""The mean over the labels of the kernel distance of the images of a label."""
BETTER: Better = {metric: way for score in SCORES for metric, way in score.better.items()} | {
    "copy_rate": Memorisation.better["copy_rate"],
    BY_LABEL: "lower",
}
N_NOISE = 40
"""Pairs of untouched sets: their spread is known to 11 %."""
N_DRAWS = 12
"""Halves of a harmed set, or draws of the images that a change concerns: their spread is known to 21 %."""
SMALLEST_SIGNAL = 0.1
"""Signals below this count as this where a dose between two steps is looked for on logarithmic scales."""


@dataclass(frozen=True, eq=False)
class RealSets:
    """Features of real images in one extractor, all drawn from one pool, so that untouched ones are at the null.

    real            float32 (n, d)      the reference
    pool            float32 (m, d)      m >= 2 n; the first n are those that are harmed
    train           float32 (t, d)      in the place of training images; t is 0 where there are too few
    real_labels, pool_labels            int64 (n,), (m,); -1 where there are none
    """

    real: Rows
    pool: Rows
    train: Rows
    real_labels: Labels
    pool_labels: Labels

    @property
    def n(self) -> int:
        return len(self.real)

    @property
    def labels(self) -> list[int]:
        """Labels that have images enough in the reference and in the set that is harmed."""
        of_real, of_fake = self.real_labels, self.pool_labels[: self.n]
        return [
            int(label)
            for label in np.unique(of_real)
            if label >= 0 and min((of_real == label).sum(), (of_fake == label).sum()) >= FEWEST_IN_A_GROUP
        ]


class Meter:
    """Every metric of a set of images against the reference."""

    def __init__(self, sets: RealSets, scores: Sequence[Score] = SCORES):
        self.sets, self.scores, self.copy_distance = sets, scores, 0.0
        if len(sets.train):
            self.copy_distance = float(np.quantile(nearest_rows(sets.real, sets.train)[1], COPY_QUANTILE))

    def values(self, fake: Rows) -> Values:
        """Near copies are counted where there are training images."""
        values: Values = {}
        for measured in measure_all(self.scores, self.sets.real, fake):
            values |= measured.values
        if len(self.sets.train):
            nearest = nearest_rows(fake, self.sets.train)[1]
            values["copy_rate"] = float((nearest < self.copy_distance).mean())
        return values

    def by_label(self, fake: Rows, labels: Labels) -> Values:
        """The kernel distance label by label; nothing where fewer than two have images enough."""
        of_label = [
            kernel_distance(self.sets.real[self.sets.real_labels == label], fake[labels == label])
            for label in self.sets.labels
            if (labels == label).sum() >= FEWEST_IN_A_GROUP
        ]
        return {BY_LABEL: float(np.mean(of_label))} if len(of_label) > 1 else {}


def effects_of(
    extractor: str,
    sets: RealSets,
    harmed: Doses,
    *,
    seed: int,
    scores: Sequence[Score] = SCORES,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Effect]:
    """The effect of every dose on every metric.

    seed    of all draws
    stop    called where it can be stopped
    """
    meter, rng = Meter(sets, scores), np.random.default_rng([seed, sets.n, 31])
    noise = noise_of(meter, rng, stop)
    for found in itertools.chain(_of_pixels(meter, harmed, rng), _of_sets(meter, rng)):
        stop()
        for metric in noise:
            if metric in found.effect:
                spread = found.spread(metric, noise[metric])
                effect = found.effect[metric]
                yield Effect(extractor, metric, BETTER[metric], found.harm, found.dose, effect, noise[metric], spread)


def noise_of(meter: Meter, rng: np.random.Generator, stop: Callable[[], None] = lambda: None) -> Values:
    """Metric -> standard deviation of the difference of two disjoint sets of n untouched images, above 0.

    The reference is the same for both, as it is when two arms are compared. Drawn without replacement and apart from
    each other, two sets of a small pool differ as two of an endless one do.
    """
    sets, differences = meter.sets, []
    for _ in range(N_NOISE):
        order = rng.permutation(len(sets.pool))
        values = []
        for rows in (order[: sets.n], order[sets.n : 2 * sets.n]):
            values.append(meter.values(sets.pool[rows]) | meter.by_label(sets.pool[rows], sets.pool_labels[rows]))
        differences.append(_less(values[1], values[0]))
        stop()
    common = [metric for metric in BETTER if all(metric in values for values in differences)]
    spread = {metric: float(np.sqrt(np.mean([values[metric] ** 2 for values in differences]))) for metric in common}
    # a share that never moved is certain to one image
    return {metric: sd or 1 / sets.n for metric, sd in spread.items()}


@dataclass(frozen=True)
class _Found:
    """What one dose does, and what it is known from.

    before, after   values of several untouched sets, and of the same sets harmed
    n_sets          independent sets that the effect is averaged over
    """

    harm: str
    dose: float
    effect: Values
    before: list[Values]
    after: list[Values]
    n_sets: int

    def spread(self, metric: str, noise: float) -> float:
        """Standard deviation of the difference of a harmed and an untouched set, and of the error of the effect.

        How many times more harmed sets vary than untouched ones is read off both, so that their size cancels.
        """
        if metric not in self.after[0]:
            return noise
        before, after = (np.array([values[metric] for values in several]) for several in (self.before, self.after))
        times = after.var() / before.var() if before.var() > 0 else 1.0
        error = (after - before).var(ddof=1) / self.n_sets
        return float(np.sqrt(noise**2 * (1 + times) / 2 + error)) or noise


def _of_pixels(meter: Meter, harmed: Doses, rng: np.random.Generator) -> Iterator[_Found]:
    """Of harm to pixels. There is one harmed set, so its halves tell how much such sets vary."""
    n, plain = meter.sets.n, meter.sets.pool[: meter.sets.n]
    halves = [rng.permutation(n)[: n // 2] for _ in range(N_DRAWS)]
    untouched, before = meter.values(plain), [meter.values(plain[rows]) for rows in halves]
    for (harm, dose), features in harmed.items():
        after = [meter.values(features[rows]) for rows in halves]
        yield _Found(harm, dose, _less(meter.values(features), untouched), before, after, 1)


def _of_sets(meter: Meter, rng: np.random.Generator) -> Iterator[_Found]:
    """Of harm that leaves pixels as they are, which can be done to many sets."""
    sets = meter.sets
    draws = [rng.permutation(len(sets.pool))[: sets.n] for _ in range(N_DRAWS)]
    before = [meter.values(sets.pool[rows]) for rows in draws]
    changes: dict[Change, Callable[[Rows, float], Rows]] = {VARIETY: lambda fake, dose: repeated(fake, dose / 100, rng)}
    if len(sets.train):
        changes[COPIES] = lambda fake, dose: _with_copies(fake, sets.train, dose / 100, rng)
    for change, harm in changes.items():
        for dose in change.doses:
            after = [meter.values(harm(sets.pool[rows], dose)) for rows in draws]
            yield _Found(change.name, dose, _mean_less(after, before), before, after, N_DRAWS)
    by_label = [meter.by_label(sets.pool[rows], sets.pool_labels[rows]) for rows in draws]
    for dose in LABELS.doses if all(by_label) else ():
        dealt = [swapped(sets.pool_labels[rows], sets.labels, dose / 100, rng) for rows in draws]
        after = [meter.by_label(sets.pool[rows], labels) for rows, labels in zip(draws, dealt, strict=True)]
        if all(after):
            unasked = dict.fromkeys(before[0], 0.0)  # metrics that nobody tells the labels
            yield _Found(LABELS.name, dose, unasked | _mean_less(after, by_label), by_label, after, N_DRAWS)


def repeated(fake: Rows, share: float, rng: np.random.Generator) -> Rows:
    """As many rows, of which only a share are distinct; the others repeat them, each about as often."""
    kept = rng.permutation(len(fake))[: max(round(len(fake) * share), 1)]
    return fake[np.resize(kept, len(fake))]


def swapped(labels: Labels, among: Sequence[int], share: float, rng: np.random.Generator) -> Labels:
    """A share of the images that carry one of some labels, in rising order, gets another one of them."""
    changed, known = labels.copy(), np.flatnonzero(np.isin(labels, among))
    rows = known[rng.permutation(len(known))[: round(share * len(known))]]
    places = np.searchsorted(among, labels[rows])
    changed[rows] = np.asarray(among)[(places + rng.integers(1, len(among), len(rows))) % len(among)]
    return changed


def _with_copies(fake: Rows, train: Rows, share: float, rng: np.random.Generator) -> Rows:
    n = min(max(round(share * len(fake)), 1), len(train))
    mixed = fake.copy()
    mixed[rng.permutation(len(fake))[:n]] = train[rng.permutation(len(train))[:n]]
    return mixed


def _less(values: Values, untouched: Values) -> Values:
    return {metric: values[metric] - untouched[metric] for metric in values if metric in untouched}


def _mean_less(after: Sequence[Values], before: Sequence[Values]) -> Values:
    every = [_less(*pair) for pair in zip(after, before, strict=True)]
    return {metric: float(np.mean([values[metric] for values in every])) for metric in every[0]}


def first_noticed(effects: Sequence[Effect], change: Change) -> float | None:
    """The dose from which on a metric notices one kind of harm; None where it does not notice the strongest.

    effects     of one metric and kind, in any order

    returns     between two steps found on logarithmic scales of strength and signal; the weakest dose where already
                that is noticed
    """
    ordered = sorted(effects, key=lambda effect: change.strength(effect.dose))
    if not ordered or not ordered[-1].noticed:
        return None
    first = max((place + 1 for place, effect in enumerate(ordered) if not effect.noticed), default=0)
    if first == 0:
        return ordered[0].dose
    steps = [(change.strength(e.dose), max(e.signal, SMALLEST_SIGNAL)) for e in ordered[first - 1 : first + 1]]
    (low, weak), (high, strong) = np.log(steps)
    return change.dose_of(float(np.exp(low + (high - low) * (np.log(NOTICED) - weak) / (strong - weak))))
