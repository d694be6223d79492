"""Intervals: normal, of proportions over readers and images, and of agreement."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
Z_95 = 1.959963984540054  # standard normal quantile of 0.975


def standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of a score of the whole sets, from its values on parts of them.

    values      float64 (..., s, 2)     on s random halves and on what each leaves over; at least 2
    returns     float64 (...)

    Half the difference between a half and the rest spreads by what single images add, V₁, and twice what pairs of
    images add, V₂: each half has a quarter of the pairs. Their mean misses the pairs from both halves, and spreads by
    V₂ around the score of the whole. So the variance V₁ + V₂ of the whole is that of half the difference less that of
    the mean. It is never less than half of the first, whatever the noise. The spread of single halves, by contrast, is
    V₁ + 3 V₂: up to 1.7 times the true error, which costs most where two sets are nearly alike.
    """
    difference = np.var((values[..., 0] - values[..., 1]) / 2, axis=-1, ddof=1)
    mean = np.var(values.mean(-1), axis=-1, ddof=1)
    return np.asarray(np.sqrt(np.maximum(difference - mean, difference / 2)))


@cache
def quantile(freedom: float | None = None, level: float = LEVEL) -> float:
    """Standard errors from the middle of a two-sided interval to its ends: of Student's t, or of the normal."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri((1 + level) / 2) if freedom is None else stdtrit(freedom, (1 + level) / 2))


def level_at_once(n: int) -> float:
    """Level of each of n intervals at which all hold with a chance of LEVEL (Šidák 1967, J. Am. Stat. Ass. 62:626)."""
    return float(LEVEL ** (1 / max(n, 1)))


@dataclass(frozen=True)
class Proportion:
    """A proportion with its 95 % interval; None if nothing can be said."""

    value: float | None
    low: float | None
    high: float | None
    n: int  # what it is a proportion of: images of one reader, or readings of several
    method: str


def clopper_pearson(successes: int, n: int) -> Proportion:
    """Exact interval of a binomial proportion; never narrower than it says (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv

    if n == 0:
        return Proportion(None, None, None, 0, "")
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Proportion(successes / n, low, high, n, "Clopper-Pearson")


def binomial_p(successes: int, n: int) -> float:
    """Chance of a count at least as unlikely when guessing, two-sided and exact."""
    from scipy.stats import binomtest

    return float(binomtest(successes, n, 0.5).pvalue) if n else math.nan


def over_readers(right: NDArray[np.bool_]) -> Proportion:
    """Share of right answers of several readers who saw the same images, for readers and images like these.

    right   bool (readers, images)

    The readers' answers to one image are not independent, nor are one reader's to several. The variance of the mean
    is that of two crossed random effects, (MS_readers + MS_images - MS_rest) / (readers x images), where neither
    difference may pull it down; the interval is Student's, cut at 0 and 1. Where all answers are alike it is Clopper
    & Pearson's, with as many cases as there are images.

    Source  the unbiased variance of a fully crossed design: Gallas et al. 2009, Commun. Stat. Theory 38:2586;
            degrees of freedom, at least readers - 1: Hillis 2007, Statistics in Medicine 26:596
    """
    n_readers, n_images = right.shape
    if n_images == 0 or n_readers == 0:
        return Proportion(None, None, None, 0, "")
    value = float(right.mean())
    if n_readers == 1 or value in (0.0, 1.0) or n_images == 1:
        exact = clopper_pearson(round(value * n_images), n_images)
        return Proportion(value, exact.low, exact.high, right.size, exact.method)
    of_reader, of_image = right.mean(1), right.mean(0)
    rest = right - of_reader[:, None] - of_image + value
    readers = n_images * ((of_reader - value) ** 2).sum() / (n_readers - 1)
    images = n_readers * ((of_image - value) ** 2).sum() / (n_images - 1)
    residual = (rest**2).sum() / ((n_readers - 1) * (n_images - 1))
    total = max(readers + max(images - residual, 0.0), residual)
    freedom = min((n_readers - 1) * (total / readers) ** 2 if readers else math.inf, n_images - 1)
    reach = quantile(freedom) * math.sqrt(total / right.size)
    return Proportion(value, max(value - reach, 0.0), min(value + reach, 1.0), right.size, "crossed readers and images")


def fleiss_kappa(counts: NDArray[np.int64]) -> float | None:
    """Agreement of readers beyond chance: 1 is perfect, 0 is chance; None if all gave the same answer.

    counts  int64 (images, categories)   how many readers chose a category, the same number of readers for each image

    Source  Fleiss 1971, Psychological Bulletin 76:378
    """
    n_readers = int(counts[0].sum())
    observed = float(((counts * (counts - 1)).sum(1) / (n_readers * (n_readers - 1))).mean())
    expected = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def agreement(counts: NDArray[np.int64]) -> Proportion:
    """Fleiss' kappa with an interval by the jackknife over images."""
    n = len(counts)
    value = fleiss_kappa(counts) if n else None
    if value is None:
        return Proportion(None, None, None, n, "")
    without = [fleiss_kappa(np.delete(counts, row, axis=0)) for row in range(n)] if n > 2 else [None]
    if None in without:
        return Proportion(value, None, None, n, "")
    kappas = np.array(without, dtype=np.float64)
    se = math.sqrt((n - 1) / n * float(((kappas - kappas.mean()) ** 2).sum()))
    return Proportion(value, max(value - Z_95 * se, -1.0), min(value + Z_95 * se, 1.0), n, "jackknife over images")
