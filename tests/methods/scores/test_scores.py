"""What holds for every score: one pass for all, what is refused, and what is named."""

import numpy as np
import pytest
from golden_sets import DIGITS, golden

from mep.errors import DataError
from mep.methods.scores import Score, measure_all
from mep.methods.scores.cmmd import Cmmd
from mep.methods.scores.fd_infinity import FdInfinity
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid, kernel_distance_error
from mep.methods.scores.kid_subsets import KidSubsets
from mep.methods.scores.prdc import Prdc
from mep.methods.scores.vendi import Vendi
from mep.registry import kind_of, members
from mep.statistics.influence import error_of_one

FRECHET, KID, PRDC = Frechet(kind="frechet"), Kid(kind="kid"), Prdc(kind="prdc")
SCORES = [FRECHET, KID, PRDC, Cmmd(kind="cmmd"), FdInfinity(kind="fd_infinity"), Vendi(kind="vendi")]
SCORES += [KidSubsets(kind="kid_subsets", size=20)]


def test_the_golden_sets_are_drawn_as_they_were_published():
    corners = [(pair[0][0, 0], pair[1][-1, -1]) for pair in (golden("A"), golden("B"), golden("C"), golden("F"))]
    assert corners[0] == pytest.approx((1.764052, -1.135383), abs=DIGITS)
    assert corners[1][1] == pytest.approx(1.153962, abs=DIGITS)
    assert corners[2][1] == pytest.approx(-0.106097, abs=DIGITS)
    assert corners[3][0] == pytest.approx(1.788628, abs=DIGITS)


def test_scores_that_share_a_pass_say_what_each_says_alone():
    real, fake = golden("A")
    together = measure_all([FRECHET, KID, PRDC, Prdc(kind="prdc", k_pr=5)], real, fake)
    for score, found in zip([FRECHET, KID, PRDC, Prdc(kind="prdc", k_pr=5)], together, strict=True):
        assert found.values == score.measure(real, fake)
    assert error_of_one(together[1].influences["kid"]) == pytest.approx(kernel_distance_error(real, fake), rel=1e-5)
    refused = measure_all([PRDC, KID], real[:5], fake)
    assert refused[0].missing.text == "5 real rows of features, at least 11 are needed"
    assert set(refused[1].values) == {"kid"}


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.kind)
def test_every_score_says_what_is_wrong_with_its_input(score):
    good = np.random.default_rng(0).normal(size=(40, 6))
    holed = good.copy()
    holed[[3, 7], 2] = np.nan, np.inf
    for real, fake, message in (
        (good, good[:, :5], "real features have 6 dimensions, fake have 5"),
        (good[:1], good, f"1 real rows of features, at least {score.minimum()} are needed"),
        (good, good[:1], f"1 fake rows of features, at least {score.minimum()} are needed"),
        (good, holed, "2 of 40 fake rows of features hold nan or infinity"),
        (good[0], good, r"real features have shape \(6,\)"),
        (good, good[:, :0], r"fake features have shape \(40, 0\)"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            score.measure(real, fake)
        assert caught.value.hint


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.kind)
def test_every_score_takes_float32_and_gives_the_metrics_it_names(score):
    real, fake = (rows.astype(np.float32) for rows in golden("A"))
    before = real.copy()
    values = score.measure(real, fake)
    assert list(values) == list(score.better)
    assert all(type(value) is float for value in values.values())
    assert values == pytest.approx(score.measure(real.astype(np.float64), fake.astype(np.float64)), rel=1e-5)
    assert np.array_equal(real, before)


def test_a_recipe_finds_the_scores_by_their_files():
    assert {kind_of(type(score)) for score in SCORES} | {"memorisation", "adherence"} == set(members(Score))
