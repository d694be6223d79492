"""Differences of a report: in closed form or by halves, for all arms at once, and adjusted beside the headline."""

import math
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from mep.artifacts.score_row import ScoreProtocol, ScoreRow
from mep.artifacts.scores import save_influences
from mep.evaluation.measurement import measure
from mep.evaluation.uncertainty import EvaluationSettings
from mep.methods.scores.kid import Kid, kernel_difference
from mep.report.data.arms import StoredScore
from mep.report.data.halves import Halves
from mep.report.tables.comparison import Delta, Metric, Number
from mep.report.tables.significance import adjusted, difference_of, error_by_images, holm_note, unlike_in, with_spread
from mep.runner.spreads import Spread
from mep.store import Store


def metric(name, p, group="all", arms=("mep",)):
    deltas = {arm: Delta(1.0, 0.5, 0.0, 2.0, p) for arm in arms}
    return Metric("drawn", name, group, "heldout", "lower", 1.0, {}, {}, deltas, {})


HEADLINE = ("drawn", "fd", "all", "heldout")


def test_all_metrics_but_the_headline_are_adjusted_together_and_parts_are_not():
    metrics = [metric("fd", 0.01), metric("kid", 0.01), metric("recall", 0.04), metric("kid", 0.02, "label=a")]
    found = adjusted(metrics, HEADLINE)
    assert [one.differences["mep"].p_holm for one in found] == [None, pytest.approx(0.02), pytest.approx(0.04), None]
    assert [one.differences["mep"].p for one in found] == [0.01, 0.01, 0.04, 0.02]
    assert holm_note(found).endswith("differ at 0.05: mep in kid (drawn), mep in recall (drawn).")
    several = adjusted([metric("fd", 0.01), metric("kid", 0.2), metric("recall", 0.4)], HEADLINE)
    assert holm_note(several).endswith("none.")
    assert holm_note(adjusted([metric("fd", 0.01)], HEADLINE)) == ""
    assert metrics[1].differences["mep"].p_holm is None  # the given ones stay as they are


def test_the_headline_allows_for_every_arm_that_could_have_been_picked_and_controls_are_none():
    (found,) = adjusted([metric("fd", 0.03, arms=("a", "b", "control-negative"))], HEADLINE)
    assert [delta.n_arms for delta in found.differences.values()] == [2, 2, 1]
    assert found.differences["a"].p == pytest.approx(1 - 0.97**2)
    assert found.differences["a"].low == pytest.approx(1 - 2.23648 * 0.5, abs=1e-4)
    assert found.differences["control-negative"].p == 0.03
    assert found.differences["a"].detectable > found.differences["control-negative"].detectable


def measured(deltas):
    """A headline in which the baseline has 600 and every arm its difference."""
    score = StoredScore(ScoreRow("kid", "samples"), {}, 600.0, 10.0, 50, 50, "d", "metrics/a", 0)
    number = {label: Number(600.0 + delta.value, None, "", "", score) for label, delta in deltas.items()}
    return Metric(*("drawn", "kid", "all", "matched", "lower", 1.0), number, {}, deltas, {})


def test_one_training_holds_the_error_of_its_images_and_the_known_spread():
    spread = Spread(0.03, True, 35, 200, "as in 1 run of this store")
    deltas = {label: Delta(-40.0, 10.0, -60.0, -20.0, 0.001) for label in ("mep", "redrawn")}
    found = with_spread(measured(deltas), spread, ["mep"]).differences
    # 200 images are part of the spread, 50 were drawn: three quarters of their variance are missing from it
    se = math.hypot(10.0 * math.sqrt(0.75), math.sqrt(2) * 0.03 * 580)
    assert found["mep"].se == pytest.approx(se)
    assert found["mep"].low == pytest.approx(-40 - 2.0301 * se, abs=1e-2)  # Student's t of 35 degrees of freedom
    assert not found["mep"].is_clear
    assert found["mep"].p > 0.05
    assert found["mep"].speaks_of_methods
    assert found["mep"].detectable > 2.8 * se
    absolute = with_spread(measured(deltas), replace(spread, size=15.0, relative=False, n_images=50), ["mep"])
    assert absolute.differences["mep"].se == pytest.approx(math.sqrt(2) * 15)
    as_many = with_spread(measured(deltas), replace(spread, n_images=50), ["mep"]).differences
    assert as_many["mep"].se == pytest.approx(math.sqrt(2) * 0.03 * 580)
    assert found["redrawn"] == deltas["redrawn"]  # from the training of the baseline: its spread is shared


def test_a_known_spread_makes_no_interval_narrower_than_its_images_do():
    deltas = {"mep": Delta(-40.0, 30.0, -101.0, 21.0, 0.18)}
    spread = Spread(0.001, True, 35, 100, "as in 1 run of this store")
    found = with_spread(measured(deltas), spread, ["mep"]).differences["mep"]
    assert (found.low, found.high, found.p, found.se) == (-101.0, 21.0, 0.18, 30.0)
    assert found.speaks_of_methods


def test_two_trainings_are_told_apart_by_the_known_spread_and_three_by_their_own():
    spread = Spread(0.03, True, 35, 200, "as in 1 run of this store")
    deltas = {f"{n} trainings": Delta(-40.0, 1.0, -52.7, -27.3, 0.02, n, freedom=n - 1) for n in (2, 3)}
    found = with_spread(measured(deltas), spread, list(deltas), {"2 trainings": 7.0}).differences
    assert found["2 trainings"].se == pytest.approx(0.03 * 580)
    assert found["2 trainings"].freedom == 35
    assert found["3 trainings"] == deltas["3 trainings"]


def test_a_share_of_next_to_nothing_makes_no_difference_of_two_trainings_certain():
    spread = Spread(0.03, True, 35, 50, "as in 1 run of this store")
    deltas = {"mep": Delta(-590.0, 100.0, -1860.0, 680.0, 0.1, 2, freedom=1)}  # 10 against 600
    found = with_spread(measured(deltas), spread, ["mep"], {"mep": 400.0}).differences["mep"]
    assert (found.se, found.freedom, found.is_clear, found.speaks_of_methods) == (400.0, None, False, True)
    assert with_spread(measured(deltas), spread, ["mep"], {"mep": None}).differences == deltas
    absolute = with_spread(measured(deltas), replace(spread, relative=False, size=2.0), ["mep"], {"mep": None})
    assert absolute.differences["mep"].se == pytest.approx(2.0)


@pytest.mark.parametrize("n_pairs", [0, 2])
def test_a_share_says_nothing_of_numbers_that_are_not_above_zero(n_pairs):
    spread = Spread(0.03, True, 35, 50, "as in 1 run of this store")
    deltas = {"mep": Delta(-1200.0, 10.0, -1220.0, -1180.0, 0.0, n_pairs)}  # -600 against 600: none between them
    assert with_spread(measured(deltas), spread, ["mep"], {"mep": 10.0}).differences == deltas


@pytest.fixture
def pair(tmp_path):
    """Two arms in a store, with what their images add to the kernel distance; and the features behind them."""
    store, rng = Store(tmp_path), np.random.default_rng(0)
    real, *arms = (rng.normal(shift, size=(40, 4)) for shift in (0, 0.2, 0.6))
    kind, scores = ScoreRow("kid", "samples", protocol=ScoreProtocol(extractor="drawn", seed=3)), []
    for name, fake in zip("ab", arms, strict=True):
        (measured,) = measure([Kid(kind="kid")], real, fake, EvaluationSettings(3, 40))
        folder = tmp_path / "store" / f"metrics/{name}"
        folder.mkdir(parents=True)
        np.save(folder / "halves.npy", measured["kid"].halves[None])
        save_influences(folder, {0: measured["kid"].influence})
        value, se = measured["kid"].estimate.value, measured["kid"].estimate.se
        scores.append(StoredScore(kind, {}, value, se, 40, 40, "d", f"metrics/{name}", 0, "references/r"))
    return store, scores, (real, *arms)


def test_a_later_repeat_that_was_made_otherwise_keeps_its_row_from_being_compared():
    def scored(seed, dataset="dataset/a"):
        kind = ScoreRow("kid", "samples", protocol=ScoreProtocol(seed=seed))
        return StoredScore(kind, kind.to_json(), 0.1, 0.01, 8, 8, dataset, "metrics/a", 0, "")

    base = {1: scored(0), 2: scored(0, "dataset/b")}
    assert unlike_in(base, base) == {}  # each pair shares its images
    assert unlike_in({1: scored(0), 2: scored(5, "dataset/b")}, base) == {"the seed of subsets and halves": "5, not 0"}
    assert unlike_in({1: scored(0), 3: scored(5)}, base) == {"the seed of subsets and halves": "5, not 0"}


def test_kernel_distances_are_compared_in_closed_form(pair):
    store, (mine, theirs), (real, fake_a, fake_b) = pair
    found = difference_of({1: mine}, {1: theirs}, {}, Halves(store))
    assert (found.value, found.se) == pytest.approx(kernel_difference(real, fake_a, fake_b), rel=1e-4)
    assert (found.low, found.freedom) == (pytest.approx(found.value - 1.959964 * found.se), None)
    assert found.is_clear == (found.p <= 0.05)


def test_two_trainings_have_the_error_of_the_images_of_both_pairs(pair):
    store, (mine, theirs), (real, fake_a, fake_b) = pair
    error = error_by_images({1: mine, 2: mine, 3: mine}, {1: theirs, 2: theirs}, Halves(store))
    assert error == pytest.approx(kernel_difference(real, fake_a, fake_b)[1] / math.sqrt(2), rel=1e-4)
    assert error_by_images({1: mine, 2: replace(mine, value=None)}, {1: theirs, 2: theirs}, Halves(store)) is None


def test_an_arm_with_more_rows_than_the_other_is_compared_like_any(pair):
    store, (mine, theirs), _ = pair
    for name in "ab":
        shutil.rmtree(store.folder(f"metrics/{name}") / "influences")
    alike = difference_of({1: mine}, {1: theirs}, {}, Halves(store))
    path = store.folder("metrics/b") / "halves.npy"
    np.save(
        path, np.concatenate([np.ones((3, 20, 2)), np.load(path)])
    )  # scores of clusters, which the other has none of
    assert difference_of({1: mine}, {1: replace(theirs, number=3)}, {}, Halves(store)) == alike


def test_without_the_closed_form_halves_speak_and_of_two_kinds_none(pair):
    store, (mine, theirs), _ = pair
    for name in "ab":
        shutil.rmtree(store.folder(f"metrics/{name}") / "influences")
    found = difference_of({1: mine}, {1: theirs}, {}, Halves(store))
    assert found.freedom == 19
    assert found.is_clear == (found.p <= 0.05)
    for name in "ab":
        np.save(store.folder(f"metrics/{name}") / "halves.npy", np.ones((1, 1, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy warns of a spread of one
        assert difference_of({1: mine}, {1: theirs}, {}, Halves(store)) == "there are too few halves of them"
    np.save(store.folder("metrics/b") / "halves.npy", np.zeros((1, 40)))  # as an older version kept them
    assert "two versions of mep" in difference_of({1: mine}, {1: theirs}, {}, Halves(store))
    (store.folder("metrics/b") / "halves.npy").unlink()
    assert "deleted" in difference_of({1: mine}, {1: theirs}, {}, Halves(store))
