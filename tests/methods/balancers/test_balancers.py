import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mep.errors import DataError
from mep.methods.balancers import Balancer, Groups
from mep.methods.balancers.capped import Capped
from mep.methods.balancers.oversample import Oversample
from mep.methods.balancers.uniform_per_prompt import UniformPerPrompt
from mep.methods.balancers.weighted import Weighted
from mep.registry import members

UNIFORM = UniformPerPrompt(kind="uniform_per_prompt")


def rows_of(*groups):
    """labels and clusters for (label, cluster, number) triples."""
    labels = np.concatenate([np.full(n, label) for label, _, n in groups])
    clusters = np.concatenate([np.full(n, cluster) for _, cluster, n in groups])
    return labels.astype(np.int64), clusters.astype(np.int64)


def groups_of(labels, clusters, names):
    outer = np.maximum(labels, 0)
    return Groups(outer, clusters, names or [""], [f"cluster {k}" for k in range(int(clusters.max()) + 1)])


def counts_of(choice, labels, clusters):
    pairs, n = np.unique(np.stack([labels[choice.rows], clusters[choice.rows]]), axis=1, return_counts=True)
    return {tuple(pair): int(count) for pair, count in zip(pairs.T.tolist(), n, strict=True)}


def test_every_label_keeps_as_many_clusters_and_every_cluster_as_many_images():
    # 2 clusters a label: 3 x 10 would keep only 2 x 3 x 2 = 12 with all three, 2 x 2 x 8 = 32 with the two largest
    labels, clusters = rows_of((0, 0, 10), (0, 1, 9), (0, 2, 2), (1, 0, 8), (1, 1, 12), (1, 2, 3))
    choice = UNIFORM.pick(groups_of(labels, clusters, ["a", "b"]), seed=0)
    assert counts_of(choice, labels, clusters) == {(0, 0): 8, (0, 1): 8, (1, 0): 8, (1, 1): 8}
    assert choice.shortage == ["a, cluster 2: 2 images left out", "b, cluster 2: 3 images left out"]


def test_the_choice_that_keeps_most_images_wins():
    labels, clusters = rows_of((0, 0, 10), (0, 1, 4), (1, 0, 10), (1, 1, 4))
    assert (
        len(UNIFORM.pick(groups_of(labels, clusters, ["a", "b"]), seed=0).rows) == 20
    )  # 2 x 1 x 10, against 2 x 2 x 4 = 16


def test_a_label_that_starves_all_others_is_named_first():
    labels, clusters = rows_of((0, 0, 500), (0, 1, 400), (1, 0, 450), (1, 1, 450), (2, 0, 1))
    choice = UNIFORM.pick(groups_of(labels, clusters, ["a", "b", "rare"]), seed=0)
    assert len(choice.rows) == 3  # one image each
    assert choice.shortage[0] == "rare has 1 image: every other one is cut to 1, without it to 800"  # 2 clusters x 400
    fair, of_fair = rows_of((0, 0, 500), (1, 0, 300))
    assert UNIFORM.pick(groups_of(fair, of_fair, ["a", "b"]), seed=0).shortage == []


def test_a_label_that_will_starve_all_others_is_foreseen_from_their_images_alone():
    text = "rare has 1 image: every other one is cut to 1, without it to 800"
    assert UNIFORM.foresee({"a": 900, "b": 800, "rare": 1}) == [text]
    assert UNIFORM.model_copy(update={"max_images_per_prompt": 50}).foresee({"a": 900, "b": 800, "rare": 1}) == [text]
    assert UNIFORM.model_copy(update={"max_images_per_prompt": 50}).foresee({"a": 900, "b": 80}) == []
    assert UNIFORM.foresee({"a": 900, "b": 800}) == UNIFORM.foresee({"a": 900}) == UNIFORM.foresee({}) == []
    assert Weighted(kind="weighted").foresee({"a": 900, "rare": 1}) == []


def test_more_prompts_can_be_insisted_on_and_groups_can_be_capped():
    labels, clusters = rows_of((0, 0, 10), (0, 1, 4), (1, 0, 10), (1, 1, 4))
    insisting = UNIFORM.model_copy(update={"min_prompts_per_label": 2})
    assert set(
        counts_of(insisting.pick(groups_of(labels, clusters, ["a", "b"]), seed=0), labels, clusters).values()
    ) == {4}
    capped = UNIFORM.model_copy(update={"max_images_per_prompt": 3})
    assert len(capped.pick(groups_of(labels, clusters, ["a", "b"]), seed=0).rows) == 12


def test_more_prompts_than_the_data_can_fill_is_refused():
    labels, clusters = rows_of((0, 0, 5), (1, 0, 5))
    asking = UNIFORM.model_copy(update={"min_prompts_per_label": 2})
    with pytest.raises(DataError, match="no label keeps 2 clusters"):
        asking.pick(groups_of(labels, clusters, ["a", "b"]), seed=0)


@pytest.mark.parametrize("n_labels", [0, 1, 2, 3])
def test_any_number_of_labels_is_balanced(n_labels):
    rng = np.random.default_rng(n_labels)
    labels = rng.integers(n_labels, size=200) if n_labels else np.full(200, -1)
    clusters = rng.integers(-1, 4, size=200)
    choice = UNIFORM.pick(groups_of(labels, clusters, [f"l{i}" for i in range(n_labels)]), seed=1)
    assert len(set(counts_of(choice, labels, clusters).values())) == 1
    assert (clusters[choice.rows] >= 0).all()


SETTINGS = {"capped": {"max_images": 3}}


@pytest.mark.parametrize("kind", members(Balancer))
@given(data=st.data())
def test_every_balancer_picks_distinct_images_that_have_a_cluster(kind, data):
    n = data.draw(st.integers(4, 40))
    labels = np.array([*data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), 0, 1])
    clusters = np.array([*data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)), 0, 0])
    method = members(Balancer)[kind](kind=kind, **SETTINGS.get(kind, {}))
    choice = method.pick(groups_of(labels, clusters, ["a", "b"]), seed=3)
    assert len(set(choice.rows.tolist())) == len(choice.rows) == len(choice.weights)
    assert (clusters[choice.rows] >= 0).all()
    assert choice.weights.mean() == pytest.approx(1)
    assert (np.diff(choice.rows) > 0).all()


def shares(choice, labels, clusters):
    drawn = {}
    for row, weight in zip(choice.rows, choice.weights, strict=True):
        key = (int(labels[row]), int(clusters[row]))
        drawn[key] = drawn.get(key, 0) + weight / choice.weights.sum()
    return drawn


def test_weights_keep_all_images_and_draw_every_group_equally_often():
    labels, clusters = rows_of((0, 0, 10), (0, 1, 4), (1, 0, 1))
    choice = Weighted(kind="weighted").pick(groups_of(labels, clusters, ["a", "b"]), seed=0)
    assert len(choice.rows) == 15
    assert list(shares(choice, labels, clusters).values()) == pytest.approx([1 / 3] * 3)
    root = Weighted(kind="weighted", power=0.5).pick(groups_of(labels, clusters, ["a", "b"]), seed=0)
    assert shares(root, labels, clusters)[0, 0] / shares(root, labels, clusters)[1, 0] == pytest.approx(10**0.5)
    limited = Weighted(kind="weighted", max_weight=2).pick(groups_of(labels, clusters, ["a", "b"]), seed=0)
    assert limited.weights.max() / limited.weights.min() == 2
    assert limited.shortage == [
        "a, cluster 1: 4 images, 2.5 times would be even, 2 times it is",
        "b, cluster 0: 1 images, 10 times would be even, 2 times it is",
    ]


def test_oversampling_repeats_images_whole_times_until_groups_are_equal():
    labels, clusters = rows_of((0, 0, 10), (0, 1, 4), (1, 0, 1))
    choice = Oversample(kind="oversample").pick(groups_of(labels, clusters, ["a", "b"]), seed=0)
    repeats = choice.weights / choice.weights.min()
    assert sorted(repeats[10:14].tolist()) == [2, 2, 3, 3]
    assert (repeats[:10].sum(), repeats[14]) == (10, 10)
    few = Oversample(kind="oversample", max_repeats=4).pick(groups_of(labels, clusters, ["a", "b"]), seed=0)
    assert few.shortage == ["b, cluster 0: 1 images make 4 of 10"]


def test_a_cap_cuts_large_groups_and_tells_small_ones():
    labels, clusters = rows_of((0, 0, 10), (0, 1, 4))
    choice = Capped(kind="capped", max_images=6).pick(groups_of(labels, clusters, ["a"]), seed=0)
    assert counts_of(choice, labels, clusters) == {(0, 0): 6, (0, 1): 4}
    assert choice.shortage == ["a, cluster 1: 4 images, the cap is 6"]


def test_the_original_case_gives_a_larger_subset_that_is_balanced_exactly():
    # 120,000 rows, two labels, 33 clusters of frequency rank^-0.3; the original keeps 64 prompts x 1,329 = 85,056
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 120_000)
    frequency = np.arange(1, 34) ** -0.3
    clusters = rng.choice(33, 120_000, p=frequency / frequency.sum())
    balancer = UNIFORM.model_copy(update={"min_prompts_per_label": 10})
    choice = balancer.pick(groups_of(labels, clusters, ["healthy", "cancer"]), seed=18021999)
    assert len(choice.rows) >= 85_056
    assert len(set(counts_of(choice, labels, clusters).values())) == 1
