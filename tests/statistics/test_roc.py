"""Areas under ROC curves: small ones by hand, and intervals that hold what they say."""

import numpy as np
import pytest

from mep.statistics.roc import area_of_reader, area_over_readers, areas, roc_points


def test_the_area_is_the_share_of_pairs_in_order_and_a_tie_is_half_of_one():
    # pairs of (3, 1) against (2, 1, 0): 3 beats all three; 1 beats 0, ties with 1, loses to 2: 4.5 of 6
    found = area_of_reader(np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0]))
    assert found.value == pytest.approx(4.5 / 6)
    assert roc_points(np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])) == [
        (0, 0),
        (0, 0.5),
        (pytest.approx(1 / 3), 0.5),
        (pytest.approx(2 / 3), 1),
        (1, 1),
    ]


def test_the_variance_is_delongs():
    # of each positive the share of negatives below: 1, 0.5; of each negative the share of positives above: .5, .75, 1
    _, covariance = areas(np.array([[3.0, 1.0]]), np.array([[2.0, 1.0, 0.0]]))
    assert covariance[0, 0] == pytest.approx(np.var([1, 0.5], ddof=1) / 2 + np.var([0.5, 0.75, 1], ddof=1) / 3)


def test_readers_who_rate_alike_are_as_uncertain_as_one_of_them():
    rng = np.random.default_rng(0)
    positives, negatives = rng.normal(1, 1, 30), rng.normal(0, 1, 30)
    alike = area_over_readers(np.stack([positives] * 4), np.stack([negatives] * 4))
    _, covariance = areas(positives[None], negatives[None])
    # no spread between readers: the variance is that of one reader over images
    assert alike.high - alike.value == pytest.approx(1.959964 * np.sqrt(covariance[0, 0]), rel=1e-5)


def test_the_interval_over_readers_is_that_of_obuchowski_and_rockette():
    rng = np.random.default_rng(1)
    positives, negatives = rng.normal(1, 1, (3, 12)), rng.normal(0, 1, (3, 15))
    found_areas, covariance = areas(positives, negatives)
    mean_square = found_areas.var(ddof=1)
    shared = (covariance[0, 1] + covariance[0, 2] + covariance[1, 2]) / 3
    from scipy.stats import t

    total = mean_square + max(3 * shared, 0)
    freedom = total**2 / (mean_square**2 / 2)
    found = area_over_readers(positives, negatives)
    assert found.value - found.low == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(total / 3), rel=1e-9)


def test_the_interval_over_readers_holds_the_truth_about_as_often_as_it_says():
    # readers differ in skill, images in difficulty: the mean area of endlessly many is found by a large draw
    rng = np.random.default_rng(2)

    def draw(readers, images):
        skill = rng.normal(1, 0.3, (readers, 1))
        positives = skill + rng.normal(0, 0.6, images) + rng.normal(0, 0.8, (readers, images))
        return positives, rng.normal(0, 0.6, images) + rng.normal(0, 0.8, (readers, images))

    truth = np.mean([areas(*draw(40, 300))[0].mean() for _ in range(8)])
    held = 0
    for _ in range(300):
        found = area_over_readers(*draw(5, 40))
        held += found.low <= truth <= found.high
    assert 0.92 < held / 300 < 0.985


def test_perfect_order_has_no_interval():
    found = area_of_reader(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    assert (found.value, found.low, found.high) == (1.0, None, None)
