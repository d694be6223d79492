"""Real images in the mix of a generated set: shares by hand, draws that keep to them, and rows that say so."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mep.artifacts import Assignment, References, TrainingSet
from mep.artifacts.score_row import Matching, ScoreProtocol
from mep.evaluation import evaluate as evaluate_module
from mep.evaluation.differences import unlike
from mep.evaluation.evaluate import evaluate
from mep.evaluation.matching import drawn_to, largest_quota, match_of, target_mix
from mep.evaluation.space import Space
from mep.evaluation.uncertainty import EvaluationSettings
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid
from mep.methods.scores.memorisation import Memorisation

BOTH = ("label", "cluster")


def training_set(kinds, weights=None, balanced_by=BOTH):
    labels, clusters = [label for label, _ in kinds], np.array([cluster for _, cluster in kinds])
    ids = [f"t{row}" for row in range(len(kinds))]
    weights = np.ones(len(kinds)) if weights is None else np.array(weights)
    return TrainingSet(ids, labels, clusters, weights, [], balanced_by=balanced_by)


def world(heldout, trained, asked, **settings):
    """A match of held-out images, given as (label, cluster), to a set of labels that was asked for."""
    chosen = training_set(trained, **settings)
    tables = {"heldout": {"id": [f"h{row}" for row in range(len(heldout))], "label": [label for label, _ in heldout]}}
    tables["train"] = {"id": chosen.ids, "label": chosen.labels}
    seen = np.array([[cluster, cluster, 0, 0] for _, cluster in heldout])
    assignment = Assignment({}, {"heldout": seen}, 9, [], {})
    return match_of(References({}, {}, tables), chosen, assignment, asked, 0)


def shares_of(kinds, rows):
    return {kind: n / len(rows) for kind, n in Counter(kinds[row] for row in rows).items()}


def test_the_target_is_the_labels_that_were_generated_times_the_clusters_that_were_trained_on():
    # 3 of 4 generated images are a; of the a trained on, 2 of 3 are of cluster 0: 3/4 x 2/3 = 1/2
    chosen = training_set([("a", 0), ("a", 0), ("a", 1), ("b", 2)])
    asked = ["a", "a", "a", "b"]
    assert target_mix(BOTH, asked, chosen) == {("a", 0): 0.5, ("a", 1): 0.25, ("b", 2): 0.25}
    assert target_mix(("label",), asked, chosen) == {("a", None): 0.75, ("b", None): 0.25}
    # an image with weight 2 was shown twice as often: 3/4 x 2/4 each
    twice = replace(chosen, weights=np.array([1.0, 1.0, 2.0, 1.0]))
    assert target_mix(BOTH, asked, twice) == {("a", 0): 0.375, ("a", 1): 0.375, ("b", 2): 0.25}


@pytest.mark.parametrize(
    ("stained", "unstained", "counts", "variation"),
    [
        (45, 55, (45, 55), 0.05),  # |45/100 - 1/2| = 0.05, just near enough: all are kept
        (40, 60, (40, 48), 0.045455),  # 1/2 - 40/n <= 0.05 as long as n <= 88.9; 1/2 - 40/88 = 0.045455
        (50, 50, (50, 50), 0.0),
        (10, 90, (10, 12), 0.045455),  # n <= 22.2
    ],
)
def test_held_out_images_are_drawn_to_equal_labels(stained, unstained, counts, variation):
    quota = largest_quota({"s": stained, "u": unstained}, {"s": 0.5, "u": 0.5}, 100)
    assert (tuple(quota.counts.values()), quota.total_variation) == (counts, pytest.approx(variation, abs=1e-6))


def test_a_stratum_without_a_held_out_image_counts_in_the_total_variation():
    # 3 % of what was generated has no real counterpart: a is 50/100 of what is drawn instead of 47 or 50
    near = largest_quota({"a": 60, "b": 60}, {"a": 0.47, "b": 0.5, "c": 0.03}, 100)
    assert near.n == 100
    assert near.total_variation == pytest.approx(0.03)
    assert largest_quota({"a": 60, "b": 60}, {"a": 0.4, "b": 0.5, "c": 0.1}, 100).n == 0


strata = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=3)


@given(strata, st.integers(1, 12), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_draw_is_without_replacement_within_tolerance_and_no_larger_one_is(strata, most, seed):
    there = {name: n for name, (n, _) in zip("abc", strata, strict=False)}
    total = sum(share for _, share in strata)
    target = {name: share / total for name, (_, share) in zip("abc", strata, strict=False)}
    quota = largest_quota(there, target, most)
    images = [name for name, n in there.items() for _ in range(n)]
    rows = drawn_to(quota.counts, images, seed, 0).tolist()
    assert len(set(rows)) == len(rows) == quota.n <= most
    possible = [
        counts
        for counts in product(*(range(n + 1) for n in there.values()))
        if 0 < sum(counts) <= most
        and sum(abs(n / sum(counts) - share) for n, share in zip(counts, target.values(), strict=True)) / 2 <= 0.05001
    ]
    assert quota.n == max(map(sum, possible), default=0)
    if rows:
        shares = shares_of(images, rows)
        assert sum(abs(shares.get(name, 0) - share) for name, share in target.items()) / 2 <= 0.0501


HELDOUT = [("a", 0)] * 30 + [("a", 1)] * 30 + [("b", 2)] * 50
TRAINED = [("a", 0)] * 40 + [("a", 1)] * 40 + [("b", 2)] * 80
ASKED = ["a", "b"] * 40


def test_all_sets_are_drawn_to_the_mix_and_the_match_says_so():
    match = world(HELDOUT, TRAINED, ASKED)
    assert (match.by, len(match.heldout), len(match.train), len(match.samples)) == (BOTH, 80, 80, 80)
    assert shares_of(HELDOUT, match.heldout) == {("a", 0): 0.25, ("a", 1): 0.25, ("b", 2): 0.5}
    assert shares_of(TRAINED, match.train) == {("a", 0): 0.25, ("a", 1): 0.25, ("b", 2): 0.5}
    assert shares_of(ASKED, match.samples) == {"a": 0.5, "b": 0.5}
    assert match.matching == Matching(["label", "cluster"], match.digest, 0)


def test_generated_images_are_drawn_in_proportion_to_their_labels():
    match = world([("a", 0)] * 15 + [("b", 2)] * 15, TRAINED, ["a"] * 60 + ["b"] * 60, balanced_by=())
    assert (len(match.samples), shares_of(["a"] * 60 + ["b"] * 60, match.samples)) == (30, {"a": 0.5, "b": 0.5})


def test_clusters_that_cannot_be_matched_give_way_to_labels_and_these_to_the_natural_mix():
    no_second = [("a", 0)] * 60 + [("b", 2)] * 50
    assert world(no_second, TRAINED, ASKED).by == ("label",)  # a quarter of the target has no image
    assert world([("a", 0)] * 5 + [("b", 2)] * 75, TRAINED, ASKED).by == ()  # 11 of 80 would be left
    assert world(HELDOUT, TRAINED, [None] * 80).by == ("cluster",)  # captions without a label
    assert world(HELDOUT, TRAINED, ASKED, balanced_by=("label",)).by == ("label",)
    assert world(HELDOUT, TRAINED, ASKED, balanced_by=()).by == ("label",)


def test_training_images_are_left_out_where_they_are_too_few():
    few = [("a", 0)] * 79 + [("a", 1)] + [("b", 2)] * 80
    match = world(HELDOUT, few, ASKED, weights=[0.5] * 79 + [40.0] + [1.0] * 80)  # one image is shown as often as 79
    assert match.by == BOTH
    assert match.train is None


def normal(seed, n, shift=0.0):
    return np.random.default_rng(seed).normal(shift, size=(n, 4)).astype(np.float32)


def scored(match, n_real=110, n_train=160):
    space = Space(
        ScoreProtocol("drawn", "d", d=4),
        normal(0, n_real),
        {"samples": normal(1, len(ASKED), 0.3), "floor": normal(0, n_real, 0.1)},
        train=normal(2, n_train),
        paired=frozenset({"floor"}),
    )
    scores = [Frechet(kind="frechet"), Kid(kind="kid"), Memorisation(kind="memorisation")]
    rows = evaluate(space, scores, EvaluationSettings(0, 6), match=match)
    return space, {(one.row.metric, one.row.subject, one.row.reference): one for one in rows}


def test_every_subject_has_matched_rows_beside_the_natural_ones_and_copies_are_looked_for_once():
    match = world(HELDOUT, TRAINED, ASKED)
    space, rows = scored(match)
    for subject in ("samples", "floor", "train"):
        assert {("kid", subject, "matched"), ("kid", subject, "heldout")} <= rows.keys()
    assert [key[2] for key in rows if key[0] == "copy_rate"] == ["train"]
    one = rows["kid", "samples", "matched"].row
    expected = Kid(kind="kid").measure(space.real[match.heldout], space.fakes["samples"][match.samples])["kid"]
    assert one.estimate.value == pytest.approx(expected, rel=1e-5)  # float32 sums, in another order of rows
    assert (one.counts.n_real, one.counts.n_real_of, one.matching.matched_by) == (80, 110, ["label", "cluster"])
    assert rows["kid", "samples", "heldout"].row.matching is None
    assert {"fd_null", "fd_excess"} <= {key[0] for key in rows if key[2] == "matched"}


def test_what_matching_leaves_as_it_is_is_not_measured_again(monkeypatch):
    calls = []
    measure = evaluate_module.measure
    monkeypatch.setattr(evaluate_module, "measure", lambda *args: calls.append(1) or measure(*args))
    even = [("a", 0)] * 40 + [("b", 2)] * 40
    _, rows = scored(world(even, even, ASKED), n_real=80, n_train=80)
    assert rows["kid", "samples", "matched"].row.estimate == rows["kid", "samples", "heldout"].row.estimate
    assert len(calls) == 3 + 1 + 1  # subjects, the gap to training images, copies


def test_arms_with_unlike_matched_images_are_not_compared():
    matches = world(HELDOUT, TRAINED, ASKED), world(HELDOUT, TRAINED, ["a", "b", "b"] * 26)
    rows = [match.matching.to_json() for match in matches]
    assert unlike(*rows) == ["the real images that match the mix they were trained on"]
