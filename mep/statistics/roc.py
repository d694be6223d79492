"""Areas under ROC curves of readers who rated the same images, with intervals for readers and images like these."""

import math

import numpy as np
from numpy.typing import NDArray

from mep.statistics.intervals import Z_95, Proportion, quantile

Ratings = NDArray[np.float64]
"""Readers by images; the higher, the more a reader holds an image for a positive one."""


def areas(positives: Ratings, negatives: Ratings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The empirical area of each reader, ties counted half, and the covariance of these areas over images.

    positives   float64 (r, m)      the same m images for all readers
    negatives   float64 (r, n)      the same n images for all readers

    returns     float64 (r,) in 0 to 1, and float64 (r, r)
    Source      DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837
    """
    greater = positives[:, :, None] > negatives[:, None, :]
    wins = greater + 0.5 * (positives[:, :, None] == negatives[:, None, :])
    of_positive, of_negative = wins.mean(2), wins.mean(1)
    covariance = sum(
        np.atleast_2d(np.cov(parts)) / parts.shape[1] for parts in (of_positive, of_negative) if parts.shape[1] > 1
    )
    return wins.mean((1, 2)), np.asarray(covariance, dtype=np.float64).reshape(len(positives), len(positives))


def area_of_reader(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> Proportion:
    """The area of one reader, with an interval for images like these: normal on the logit, so that it stays in 0 to 1.

    positives   float64 (m,)
    negatives   float64 (n,)

    No interval where every pair is ordered alike, or where a side has fewer than two images.
    """
    n = len(positives) + len(negatives)
    if not len(positives) or not len(negatives):
        return Proportion(None, None, None, n, "")
    (area,), covariance = areas(positives[None], negatives[None])
    se = math.sqrt(max(float(covariance[0, 0]), 0.0))
    if not 0 < area < 1 or se == 0 or min(len(positives), len(negatives)) < 2:
        return Proportion(float(area), None, None, n, "")
    middle, reach = math.log(area / (1 - area)), Z_95 * se / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-end)) for end in (middle - reach, middle + reach))
    return Proportion(float(area), low, high, n, "DeLong, on the logit")


def area_over_readers(positives: Ratings, negatives: Ratings) -> Proportion:
    """The mean area of several readers, with an interval for readers and images like these, cut at 0 and 1.

    positives   float64 (r, m)
    negatives   float64 (r, n)

    With MS the mean square of the areas and C the mean covariance of two readers' areas, the variance of the mean is
    (MS + r C) / r, where C may not pull it down. Student's t has (MS + r C)² / (MS² / (r - 1)) degrees of freedom.

    Source  Obuchowski & Rockette 1995, Commun. Stat. Simul. 24:285; degrees of freedom: Hillis 2007, Statistics in
            Medicine 26:596; one test alone: Hillis 2014, Statistics in Medicine 33:330
    """
    r, n = len(positives), positives.shape[1] + negatives.shape[1]
    if r < 2 or min(positives.shape[1], negatives.shape[1]) < 2:
        return area_of_reader(positives[0], negatives[0]) if r else Proportion(None, None, None, 0, "")
    found, covariance = areas(positives, negatives)
    value, mean_square = float(found.mean()), float(found.var(ddof=1))
    shared = float(covariance[~np.eye(r, dtype=bool)].mean())
    total = mean_square + max(r * shared, 0.0)
    if total == 0:
        return Proportion(value, None, None, n * r, "")
    freedom = None if mean_square == 0 else total**2 / (mean_square**2 / (r - 1))
    reach = quantile(freedom) * math.sqrt(total / r)
    return Proportion(value, max(value - reach, 0.0), min(value + reach, 1.0), n * r, "Obuchowski-Rockette")


def roc_points(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> list[tuple[float, float]]:
    """False-positive and true-positive shares at every threshold, from (0, 0) to (1, 1)."""
    thresholds = sorted({*positives.tolist(), *negatives.tolist()}, reverse=True)
    points = [(float((negatives >= cut).mean()), float((positives >= cut).mean())) for cut in thresholds]
    return [(0.0, 0.0), *points]
