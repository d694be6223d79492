"""Copies of training images are found, and what generalises is not called a copy."""

import numpy as np
import pytest

from mep.errors import DataError
from mep.methods.scores.memorisation import (
    Memorisation,
    closest_pairs,
    ct,
    mann_whitney,
    nearest_in_cell,
    neighbourhood,
)

SCORE = Memorisation(kind="memorisation")
DIGITS = 6e-7


def copies():
    """Training, held-out and generated features; 20 of the 60 generated are training images with a little noise."""
    rs = np.random.RandomState(4)
    train, held_out = rs.randn(100, 4), rs.randn(80, 4)
    fake = np.concatenate([train[:20] + 0.01 * rs.randn(20, 4), rs.randn(40, 4)])
    assert (train[0, 0], fake[-1, -1]) == pytest.approx((0.050562, 0.237999), abs=DIGITS)
    return train, held_out, fake


def test_shares_of_the_golden_set():
    train, held_out, fake = copies()
    described = SCORE.describe(held_out, fake, train, seed=0)
    found, null = SCORE.measure(*described), SCORE.null(*described, train, seed=0)
    assert np.quantile(described[0][:, 0], 0.01) == pytest.approx(0.203951, abs=DIGITS)
    assert (found["copy_rate"], found["authenticity"], found["nn_ratio"]) == pytest.approx(
        (0.35, 0.283333, 0.621546), abs=DIGITS
    )
    assert (null["copy_rate"], null["authenticity"], null["ct"]) == (0.01, pytest.approx(0.4), 0)


@pytest.mark.parametrize(("name", "share"), [("A", 0.46), ("B", 1.0), ("C", 0.033333)])
def test_authenticity_and_distances_to_the_nearest_of_the_golden_sets(name, share):
    from golden_sets import golden

    real, fake = golden(name)
    described = np.pad(neighbourhood(fake, real), ((0, 0), (0, 2)))  # no cells
    assert SCORE.measure(described, described)["authenticity"] == pytest.approx(share, abs=DIGITS)
    ratio, distance = {"A": (0.888802, 1.820271), "B": (0.971485, 12.766762), "C": (0.893294, 1.998490)}[name]
    found = SCORE.measure(described, described)
    assert (found["nn_ratio"], found["nn_distance"]) == pytest.approx((ratio, distance), abs=DIGITS)


def test_ct_of_the_golden_set_over_all_and_over_two_cells():
    train, held_out, fake = copies()
    distances = [np.linalg.norm(rows[:, None] - train, axis=2).min(1) for rows in (held_out, fake)]
    assert mann_whitney(*distances) == pytest.approx(-4.006538, abs=DIGITS)
    of_train, *cells = ((rows[:, 0] > 0).astype(int) for rows in (train, held_out, fake))
    in_cell = [nearest_in_cell(rows, own, train, of_train) for rows, own in zip((held_out, fake), cells, strict=True)]
    by_cell = [mann_whitney(*(d[own == cell] for d, own in zip(in_cell, cells, strict=True))) for cell in (0, 1)]
    assert by_cell == pytest.approx([-1.791191, -3.653062], abs=DIGITS)
    assert ct(*in_cell, *cells) == pytest.approx(-2.722127, abs=DIGITS)


def test_cells_with_few_generated_images_have_no_say():
    rng = np.random.default_rng(0)
    distances = rng.uniform(size=40), rng.uniform(size=40)
    assert ct(*distances, np.zeros(40), np.repeat([0, 1], 20)) is None
    assert ct(*distances, np.zeros(40), np.repeat([0, 1], [21, 19])) is not None


def test_real_images_in_the_place_of_generated_ones_reach_the_null():
    rng = np.random.default_rng(1)
    train, held_out, fake = (rng.normal(size=(n, 6)) for n in (400, 300, 300))
    described = SCORE.describe(held_out, fake, train, seed=0)
    found, null = SCORE.measure(*described), SCORE.null(*described, train, seed=0)
    assert found["copy_rate"] < 0.04
    assert found["authenticity"] == pytest.approx(null["authenticity"], abs=0.1)
    assert abs(found["ct"]) < 3


def test_the_closest_pairs_are_the_copies_nearest_first():
    train, held_out, fake = copies()
    pairs = closest_pairs(SCORE.describe(held_out, fake, train, seed=0)[1], 12)
    assert len(pairs) == 12
    assert all(image == nearest < 20 for image, nearest, _, _ in pairs)
    assert [ratio for *_, ratio in pairs] == sorted(ratio for *_, ratio in pairs)
    exact = closest_pairs(neighbourhood(train[:5], train), 5)
    assert all(distance == 0 for _, _, distance, _ in exact)


def test_without_training_images_it_says_so():
    _, held_out, fake = copies()
    with pytest.raises(DataError, match="no training images"):
        SCORE.describe(held_out, fake, None, seed=0)
    with pytest.raises(DataError, match="1 of 3 train rows"):
        SCORE.describe(held_out, fake, np.array([[0, 0, 0, 0], [1, 1, 1, np.nan], [2, 2, 2, 2]]), seed=0)
