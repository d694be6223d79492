"""Precision, recall, density and coverage: golden values, neighbourhoods and their borders."""

import numpy as np
import pytest
from golden_sets import DIGITS, few, golden, rotation, two_sets
from hypothesis import given
from hypothesis import strategies as st

from mep.errors import DataError
from mep.methods.scores.prdc import Prdc, expected_coverage, prdc, realism

PRDC = Prdc(kind="prdc")


NAMES = ("precision", "recall", "density", "coverage")
OF_THREE = {"A": (0.94, 0.466667, 1.44, 0.816667), "B": (0, 1, 0, 0), "C": (1, 0.375, 4.977778, 1)}
OF_FIVE = {"A": (0.96, 0.666667, 1.428, 0.95), "B": (0, 1, 0, 0), "C": (1, 0.425, 3.826667, 1)}


def four(real, fake, **settings):
    return tuple(prdc(real, fake, **settings)[name] for name in NAMES)


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_prdc_of_the_golden_sets(name):
    sets = golden(name)
    assert four(*sets, k_pr=3, k_dc=3) == pytest.approx(OF_THREE[name], abs=DIGITS)
    assert four(*sets, k_pr=5, k_dc=5) == pytest.approx(OF_FIVE[name], abs=DIGITS)
    measured = PRDC.measure(*sets)
    assert tuple(measured[key] for key in NAMES) == pytest.approx(OF_THREE[name][:2] + OF_FIVE[name][2:], abs=DIGITS)


def test_features_far_from_the_origin_have_the_same_neighbours():
    # E: A moved by 1000 and stored in float32; |x|² + |y|² - 2 x·y of such numbers is off by more than the distances
    far = [(rows + 1000).astype(np.float32) for rows in golden("A")]
    assert PRDC.measure(*far) == PRDC.measure(*golden("A"))
    farther = [rows + 1e7 for rows in golden("A")]  # where float64 has the same trouble
    assert PRDC.measure(*farther) == PRDC.measure(*golden("A"))


@given(two_sets(), st.integers(1, 45))
@few
def test_block_size_and_row_order_change_no_share(sets, block):
    real, fake = sets
    everything = prdc(real, fake)
    assert prdc(real, fake, block=block) == everything
    assert prdc(real[::-1], np.roll(fake, 5, axis=0)) == pytest.approx(everything, rel=1e-12)


@given(two_sets(), st.floats(0.1, 10))
@few
def test_rotation_shift_and_scale_change_no_share(sets, scale):
    moved_real, moved_fake = (scale * (rows @ rotation(rows.shape[1]) - 3) for rows in sets)
    assert prdc(moved_real, moved_fake) == pytest.approx(prdc(*sets), rel=1e-12)


@given(two_sets())
@few
def test_a_set_against_itself_is_all_hits(sets):
    shares = prdc(sets[0], sets[0])
    assert (shares["precision"], shares["recall"], shares["coverage"]) == (1, 1, 1)


@given(two_sets())
@few
def test_swapping_the_sets_swaps_precision_and_recall(sets):
    real, fake = sets
    there, back = prdc(real, fake), prdc(fake, real)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


def test_copies_at_the_border_of_a_ball_lie_within_whatever_the_block():
    # The k-th neighbour of x is copied, so its copy lies at exactly the radius: every tie has to count in every block.
    rng = np.random.default_rng(3)
    real = rng.normal(size=(300, 64))
    squared = ((real[:, None] - real[None]) ** 2).sum(2)
    ranks = squared.argsort(axis=1).argsort(axis=1)  # rank 0 is the image itself
    n_hits = (ranks[:, :150] <= 5).sum()
    for block in (7, 64, 300):
        assert prdc(real, real[:150], block=block)["density"] == n_hits / (5 * 150)


def test_a_constant_feature_counts_as_a_copy():
    assert four(np.full((12, 3), 0.1), np.full((12, 3), 0.1)) == (1, 1, 12 / 5, 1)


def test_mode_collapse_is_precise_and_recalls_little():
    rng = np.random.default_rng(0)
    shares = PRDC.measure(rng.normal(size=(200, 4)), 0.05 * rng.normal(size=(200, 4)))
    assert shares["precision"] == 1
    assert shares["recall"] < 0.05
    assert shares["coverage"] < 0.3


def test_noise_around_everything_recalls_much_and_is_imprecise():
    rng = np.random.default_rng(0)
    shares = PRDC.measure(rng.normal(size=(200, 4)), 5 * rng.normal(size=(200, 4)))
    assert shares["recall"] > 0.9
    assert shares["precision"] < 0.4


def test_fakes_that_are_real_cover_as_much_as_expected():
    assert expected_coverage(1000, 1000, 5) == pytest.approx(0.968984, abs=DIGITS)
    # one neighbour, one fake: of the n - 1 other reals and the fake each is equally likely to be the nearest
    assert expected_coverage(4, 1, 1) == pytest.approx(1 / 4)
    rng = np.random.default_rng(1)
    shares = [prdc(rng.normal(size=(40, 3)), rng.normal(size=(30, 3))) for _ in range(300)]
    coverage, density = ([share[name] for share in shares] for name in ("coverage", "density"))
    assert np.mean(coverage) == pytest.approx(expected_coverage(40, 30, 5), abs=4 * np.std(coverage) / np.sqrt(300))
    assert np.mean(density) == pytest.approx(1, abs=4 * np.std(density) / np.sqrt(300))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_without_ties_the_prdc_package_agrees(k):
    peer = pytest.importorskip("prdc")
    rng = np.random.default_rng(k)
    real, fake = rng.normal(size=(150, 12)), 0.9 * rng.normal(size=(120, 12)) + 0.2
    assert prdc(real, fake, k_pr=k, k_dc=k) == pytest.approx(peer.compute_prdc(real, fake, k), rel=1e-12)


def test_the_border_may_be_left_outside_as_the_prdc_package_has_it():
    real, fake = golden("C")
    assert prdc(real, fake, k_pr=3, k_dc=3, strict=True)["density"] == pytest.approx(4.922222, abs=DIGITS)
    assert prdc(real, fake, strict=True)["density"] == pytest.approx(3.773333, abs=DIGITS)


def test_realism_of_the_golden_set_and_of_copies():
    assert np.median(realism(*golden("A"))) == pytest.approx(1.143392, abs=DIGITS)
    real, fake = golden("C")
    # copies lie at a distance of 0 of a ball, whose radius counts unless it is wider than the median
    assert np.isinf(realism(real, fake)[:10]).any()


@pytest.mark.filterwarnings("error")
def test_balls_of_more_neighbours_than_there_are_have_no_expected_coverage():
    few = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(DataError, match="5 real images have no 5 neighbours"):
        Prdc(kind="prdc").null(few, few, None, seed=0)
    assert Prdc(kind="prdc", k_dc=4).null(few, few, None, seed=0)["coverage"] < 1
