"""How well predicted probabilities tell classes apart, and how certain that is.

Every metric takes weights, float64 (s, n): a row of ones for the metric itself, a row of counts for a resample of the
test images. With more than two classes, each is held against the others and the mean is taken (macro one-vs-rest).
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Bools: TypeAlias = "NDArray[np.bool_]"
Floats: TypeAlias = "NDArray[np.float64]"
Ints: TypeAlias = "NDArray[np.int64]"

SPECIFICITY = 0.95  # share of negatives that the operating point of `sensitivity` is to call negative
N_BINS = 15  # of the calibration error, as in Guo et al. 2017
CHUNK = 256  # resamples that are held in memory at once


def auroc(probabilities: Floats, labels: Ints, weights: Floats) -> Floats:
    """Area under the ROC curve, macro one-vs-rest: float64 (s,), chance 0.5, higher is better.

    probabilities   float64 (n, k)   only their order within a class matters; ties count one half
    labels          int64 (n,)       0 to k - 1
    weights         float64 (s, n)   nan comes out where a resample lacks a class
    """
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])  # of two, both have the same area
    return _macro(_area(probabilities[:, c], labels == c, weights) for c in classes)


def auprc(probabilities: Floats, labels: Ints, weights: Floats) -> Floats:
    """Average precision without interpolation, macro one-vs-rest: float64 (s,), chance is the share of the class."""
    classes = range(probabilities.shape[1])
    return _macro(_average_precision(probabilities[:, c], labels == c, weights) for c in classes)


def balanced_accuracy(probabilities: Floats, labels: Ints, weights: Floats) -> Floats:
    """Mean over the classes of the share that is called right: float64 (s,), chance 1/k, higher is better."""
    right = probabilities.argmax(axis=1) == labels
    return _macro(_share(right & (labels == c), labels == c, weights) for c in range(probabilities.shape[1]))


def sensitivity(probabilities: Floats, labels: Ints, weights: Floats, cuts: Floats) -> Floats:
    """Share of each class above its cut, macro: float64 (s,); cuts float64 (k,) from `cuts_at`, on other images."""
    above = probabilities > cuts
    return _macro(_share(above[:, c] & (labels == c), labels == c, weights) for c in range(probabilities.shape[1]))


def specificity(probabilities: Floats, labels: Ints, weights: Floats, cuts: Floats) -> Floats:
    """Share of the other classes not above the cut of a class, macro: float64 (s,), 0.95 if the cuts carry over."""
    below = probabilities <= cuts
    return _macro(_share(below[:, c] & (labels != c), labels != c, weights) for c in range(probabilities.shape[1]))


def found_at(scores: Floats, positive: Bools, weights: Floats, rate: float) -> Floats:
    """Share of the positives above the lowest cut that at most a rate of the negatives lies above: float64 (s,).

    scores      float64 (n,)    the higher, the more an image is held for a positive one; those alike share a cut
    positive    bool (n,)
    """
    of_positive, of_negative = _at_each_score(-scores, positive, weights)
    found, wrong = np.cumsum(of_positive, axis=1), np.cumsum(of_negative, axis=1)
    allowed = wrong <= rate * wrong[:, -1:] * (1 + 1e-9)
    return _quotient(np.where(allowed, found, 0.0).max(axis=1), found[:, -1])


def calibration_error(probabilities: Floats, labels: Ints, weights: Floats) -> Floats:
    """Expected calibration error of the predicted class: float64 (s,), 0 is calibrated (arXiv:1706.04599, 15 bins)."""
    confidence = probabilities.max(axis=1)
    surplus = (probabilities.argmax(axis=1) == labels) - confidence
    bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    gaps = [np.abs(weights[:, bins == each] @ surplus[bins == each]) for each in np.unique(bins)]
    return np.asarray(np.sum(gaps, axis=0) / weights.sum(axis=1))


def cuts_at(probabilities: Floats, labels: Ints) -> Floats:
    """The lowest cut of each class that keeps at least SPECIFICITY of the others at or below it: float64 (k,)."""
    others = [probabilities[labels != c, c] for c in range(probabilities.shape[1])]
    return np.array([np.quantile(scores, SPECIFICITY, method="inverted_cdf") for scores in others])


def influence(probabilities: Floats, labels: Ints) -> Floats:
    """What every image contributes to `auroc`, from which DeLong's variance follows: float64 (n,).

    Source  the structural components of DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837, with midranks
            (Sun & Xu 2014); the mean of one-vs-rest areas is linear in them
    """
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    return _macro(_components(probabilities[:, c], labels == c) for c in classes)


def delong_variance(influence: Floats, labels: Ints) -> float:
    """Variance of `auroc`, or of the difference of two on the same images from the difference of their influences.

    influence   float64 (n,)    of independent images
    labels      int64 (n,)      at least 2 images of every class
    """
    parts = [influence[labels == c] for c in np.unique(labels)]
    return float(sum(len(part) * part.var(ddof=1) for part in parts))


def resamples(groups: Ints, labels: Ints, n: int, seed: int) -> Iterator[Floats]:
    """n bootstrap resamples as counts of every image, float64 (at most 256, images) a time.

    groups      int64 (images,)     drawn whole and with replacement
    labels      int64 (images,)     groups are drawn within strata of their most frequent label: no class is lost
    """
    number = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((number.max() + 1, labels.max() + 1))
    np.add.at(counts, (number, labels), 1)
    stratum = counts.argmax(axis=1)
    rng = np.random.default_rng([seed, len(groups)])
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        drawn = np.zeros((size, len(counts)))
        for label in np.unique(stratum):
            members = np.flatnonzero(stratum == label)
            picks = rng.integers(len(members), size=(size, len(members))) + np.arange(size)[:, None] * len(members)
            drawn[:, members] = np.bincount(picks.ravel(), minlength=size * len(members)).reshape(size, -1)
        yield drawn[:, number]


def logit_interval(area: float, se: float, z: float) -> tuple[float, float]:
    """Interval of an area strictly between 0 and 1, symmetric in its logit and so within 0 and 1."""
    centre, reach = np.log(area / (1 - area)), z * se / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(centre + np.array([-reach, reach]))))
    return float(low), float(high)


def score_interval(area: float, n_positive: float, n_negative: float, z: float) -> tuple[float, float]:
    """Interval of an area that also holds at 0 and 1, where the variance of DeLong is 0.

    Source  Newcombe 2006, Statistics in Medicine 25:559, method 5: the areas whose distance from the estimate is
            z standard errors, these after Hanley & McNeil 1982 with (n + m) / 2 for both sizes
    """
    from scipy.optimize import brentq

    typical = (n_positive + n_negative) / 2 - 1

    def excess(true: float) -> float:
        spread = 1 + typical * (1 - true) / (2 - true) + typical * true / (1 + true)
        return float(abs(area - true) - z * np.sqrt(true * (1 - true) * spread / (n_positive * n_negative)))

    edge = 1e-12
    low = brentq(excess, edge, min(area, 1 - edge)) if excess(edge) > 0 else 0.0
    high = brentq(excess, max(area, edge), 1 - edge) if excess(1 - edge) > 0 else 1.0
    return float(low), float(high)


def _macro(of_classes: Iterable[Floats]) -> Floats:
    return np.asarray(np.mean(list(of_classes), axis=0))


def _area(scores: Floats, positive: Bools, weights: Floats) -> Floats:
    of_positive, of_negative = _at_each_score(scores, positive, weights)
    below = np.cumsum(of_negative, axis=1) - of_negative / 2
    pairs = of_positive.sum(axis=1) * of_negative.sum(axis=1)
    return _quotient((of_positive * below).sum(axis=1), pairs)


def _average_precision(scores: Floats, positive: Bools, weights: Floats) -> Floats:
    of_positive, of_negative = _at_each_score(-scores, positive, weights)
    called = np.cumsum(of_positive + of_negative, axis=1)
    precision = np.cumsum(of_positive, axis=1) / np.maximum(called, 1e-300)  # nothing called: nothing is right either
    return _quotient((precision * of_positive).sum(axis=1), of_positive.sum(axis=1))


def _at_each_score(scores: Floats, positive: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Weight of the positives and of the negatives at each score that occurs, the lowest first."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    weights, positive = weights[:, order], positive[order]
    return np.add.reduceat(weights * positive, starts, axis=1), np.add.reduceat(weights * ~positive, starts, axis=1)


def _components(scores: Floats, positive: Bools) -> Floats:
    from scipy.stats import rankdata

    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    among_all = rankdata(scores)
    wins = np.empty(len(scores))  # share of the other side that an image is on the right side of
    wins[positive] = (among_all[positive] - rankdata(scores[positive])) / n_negative
    wins[~positive] = 1 - (among_all[~positive] - rankdata(scores[~positive])) / n_positive
    return np.asarray((wins - wins[positive].mean()) / np.where(positive, n_positive, n_negative))


def _share(counted: Bools, among: Bools, weights: Floats) -> Floats:
    return _quotient(weights @ counted, weights @ among)


def _quotient(above: Floats, below: Floats) -> Floats:
    """above / below, nan where there is nothing below."""
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))
