"""Classification metrics against published numbers, scikit-learn, and what a pencil gives."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from mep.stages.utility.probing import Estimate, HeldOut, Predictions, difference
from mep.statistics.classification import (
    auprc,
    auroc,
    balanced_accuracy,
    calibration_error,
    cuts_at,
    delong_variance,
    found_at,
    influence,
    logit_interval,
    resamples,
    score_interval,
    sensitivity,
    specificity,
)
from mep.statistics.intervals import Z_95


def two_columns(scores):
    """Scores of class 1 as a table of two classes; ranks are all that the areas look at."""
    return np.stack([-scores, scores], axis=1)


def two_readers():
    """120 cases, 47 of them positive, scored with ties by two correlated tests."""
    rs = np.random.RandomState(11)
    labels = (rs.rand(120) < 0.4).astype(int)
    a = np.round(0.8 * labels + rs.randn(120), 1)
    return labels, a, np.round(0.4 * labels + 0.6 * a + 0.8 * rs.randn(120), 1)


def three_classes(n=150):
    rng = np.random.default_rng(5)
    labels = np.arange(n) % 3
    scores = np.round(rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[labels], 1)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), labels


def ones(n):
    return np.ones((1, n))


def test_what_is_found_at_a_rate_of_false_alarms_is_read_off_the_lowest_cut_that_keeps_it():
    # negatives 1 2 3 4 5; positives 3.5 4.5 6: a fifth lets one negative pass (5), so that 4.5 and 6 are found
    scores, positive = np.array([1, 2, 3, 4, 5, 3.5, 4.5, 6.0]), np.arange(8) >= 5
    rates = [float(found_at(scores, positive, ones(8), rate)[0]) for rate in (0.0, 0.2, 0.4, 1.0)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 1])
    # a positive that ties with a negative shares its cut
    tied = found_at(np.array([1.0, 2, 2]), np.array([False, False, True]), ones(3), 0.4)
    assert tied.tolist() == [0.0]


def test_delong_gives_the_areas_errors_and_covariance_known_for_two_correlated_tests():
    labels, a, b = two_readers()
    of_a, of_b = (influence(two_columns(scores), labels) for scores in (a, b))
    areas = [auroc(two_columns(scores), labels, ones(120))[0] for scores in (a, b)]
    assert areas == pytest.approx([0.821481, 0.833430], abs=1e-6)
    errors = [delong_variance(one, labels) ** 0.5 for one in (of_a, of_b, of_a - of_b)]
    assert errors == pytest.approx([0.038886, 0.037532, 0.036411], abs=1e-6)
    covariance = (errors[0] ** 2 + errors[1] ** 2 - errors[2] ** 2) / 2
    assert covariance == pytest.approx(7.9753e-4, abs=1e-8)
    assert logit_interval(areas[0], errors[0], Z_95) == pytest.approx((0.732375, 0.885555), abs=1e-6)


def test_two_correlated_tests_differ_by_the_known_z_and_p():
    labels, *readers = two_readers()
    sides = [
        (
            Predictions(two_columns(scores)[None], np.zeros((1, 2)), 0, 0, [{}]),
            Estimate(float(auroc(two_columns(scores), labels, ones(120))[0]), None, None, None, "", np.zeros(1)),
        )
        for scores in readers
    ]
    found, p = difference(*sides, HeldOut(labels, np.arange(120), labels))
    assert (found.value, found.se) == pytest.approx((-0.011950, 0.036411), abs=1e-6)
    assert found.value / found.se == pytest.approx(-0.328198, abs=1e-6)
    assert p == pytest.approx(0.742762, abs=1e-6)


def test_the_variance_of_delong_is_that_of_counting_every_pair():
    labels, a, _ = two_readers()
    wins = (a[labels == 1][:, None] > a[labels == 0]) + 0.5 * (a[labels == 1][:, None] == a[labels == 0])
    by_pairs = wins.mean(1).var(ddof=1) / len(wins) + wins.mean(0).var(ddof=1) / wins.shape[1]
    assert delong_variance(influence(two_columns(a), labels), labels) == pytest.approx(by_pairs, rel=1e-12)


def test_the_score_interval_is_the_one_published_for_nonoverlap_of_pairs():
    # SingleCaseES, phases 20 20 26 25 22 23 and 28 25 24 27 30 30 29: NAP 11/12, 95 % 0.5973194 to 0.9859977
    first, second = np.array([20, 20, 26, 25, 22, 23]), np.array([28, 25, 24, 27, 30, 30, 29])
    labels = np.repeat([0, 1], [6, 7])
    area = auroc(two_columns(np.r_[first, second].astype(float)), labels, ones(13))[0]
    assert area == pytest.approx(11 / 12, rel=1e-12)
    assert score_interval(area, 7, 6, Z_95) == pytest.approx((0.5973194, 0.9859977), abs=1e-7)


def test_a_perfect_area_still_has_an_interval():
    labels = np.repeat([0, 1], 20)
    assert delong_variance(influence(two_columns(labels.astype(float)), labels), labels) == 0
    low, high = score_interval(1.0, 20, 20, Z_95)
    assert 0.8 < low < 0.95
    assert high == 1
    assert score_interval(0.0, 20, 20, Z_95) == pytest.approx((0, 1 - low), abs=1e-9)


def test_areas_and_accuracy_are_those_of_scikit_learn():
    probabilities, labels = three_classes()
    one_hot = np.eye(3)[labels]
    found = [metric(probabilities, labels, ones(150))[0] for metric in (auroc, auprc, balanced_accuracy)]
    assert found == pytest.approx(
        [
            roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
            average_precision_score(one_hot, probabilities, average="macro"),
            balanced_accuracy_score(labels, probabilities.argmax(1)),
        ],
        rel=1e-12,
    )


@pytest.mark.parametrize("metric", [auroc, auprc, balanced_accuracy, calibration_error])
def test_weights_are_counts_of_images(metric):
    probabilities, labels = three_classes(60)
    counts = np.random.default_rng(0).integers(0, 4, 60)
    rows = np.repeat(np.arange(60), counts)
    repeated = metric(probabilities[rows], labels[rows], ones(len(rows)))
    assert metric(probabilities, labels, counts[None].astype(float)) == pytest.approx(repeated, rel=1e-12)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    # confidence 0.8 with 3 of 4 right, 0.6 with 2 of 2 right: (4 |0.75 - 0.8| + 2 |1 - 0.6|) / 6 = 1 / 6
    confidence = np.array([0.8, 0.8, 0.8, 0.8, 0.6, 0.6])
    probabilities = np.stack([1 - confidence, confidence], axis=1)
    labels = np.array([1, 1, 1, 0, 1, 1])
    assert calibration_error(probabilities, labels, ones(6)) == pytest.approx(1 / 6)


def test_the_operating_point_is_fixed_on_other_images_and_keeps_95_of_100_negatives_below():
    scores = np.arange(100) / 100
    validation = np.stack([1 - scores, scores], axis=1)
    cuts = cuts_at(np.r_[validation, [[0, 1.0]]], np.r_[np.zeros(100, int), 1])
    assert cuts[1] == 0.94  # 95 of the 100 negatives lie at or below it
    test = np.array([[0.06, 0.94], [0.05, 0.95], [0.02, 0.98], [0.5, 0.5]])
    labels = np.array([1, 1, 1, 0])
    # of class 1, 2 of 3 lie above 0.94; of class 0 the cut is that of one image at 0.0: 0.5 is above
    assert sensitivity(test, labels, ones(4), cuts) == pytest.approx((2 / 3 + 1) / 2)
    assert specificity(test, labels, ones(4), cuts) == pytest.approx((1 + 0) / 2)


def test_the_bootstrap_of_independent_images_agrees_with_delong():
    labels, a, b = two_readers()
    drawn = [
        auroc(two_columns(a), labels, w) - auroc(two_columns(b), labels, w)
        for w in resamples(np.arange(120), labels, 2000, 0)
    ]
    assert np.std(np.concatenate(drawn), ddof=1) == pytest.approx(0.036411, rel=0.06)  # 2000 draws: 1.6 % of noise


def test_a_resample_draws_whole_slides_and_loses_no_class():
    groups, labels = np.repeat(np.arange(8), 5), np.repeat([0, 1], 20)
    (counts,) = resamples(groups, labels, 200, 1)
    slides = counts.reshape(200, 8, 5)
    assert (slides == slides[:, :, :1]).all()
    assert (slides[:, :4, 0].sum(1) == 4).all()
    assert (slides[:, 4:, 0].sum(1) == 4).all()


def test_images_of_few_slides_are_less_certain_than_as_many_independent_ones():
    rng = np.random.default_rng(3)
    groups, labels = np.repeat(np.arange(20), 20), np.repeat([0, 1], 200)
    scores = two_columns(labels + np.repeat(rng.normal(size=20), 20) + 0.3 * rng.normal(size=400))
    spread = [
        np.std(np.concatenate([auroc(scores, labels, w) for w in resamples(one, labels, 500, 0)]))
        for one in (groups, np.arange(400))
    ]
    assert spread[0] > 2 * spread[1]
