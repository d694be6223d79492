from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mep.artifacts import TRAIN, VALIDATION, Clusters, Images, Prompt
from mep.diffusion.loop import batch_rows
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.allocations.per_label import PerLabel
from mep.methods.allocations.per_prompt import PerPrompt
from mep.methods.balancers import Balancer, Groups
from mep.methods.balancers.capped import Capped
from mep.methods.balancers.oversample import Oversample
from mep.methods.balancers.uniform_per_prompt import UniformPerPrompt
from mep.methods.balancers.weighted import Weighted
from mep.registry import members
from mep.stages.balancing import BalancingConfig, balancing

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


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=30), st.integers(0, 5))
def test_an_epoch_shows_every_image_as_often_as_its_weight_says_rounded_up_or_down(weights, seed):
    weights = np.array(weights) / np.mean(weights)
    work, n = Work(folder=Path("unused"), seed=seed), len(weights)
    rows = np.concatenate([batch_rows(work, step, 1, weights) for step in range(n)])
    seen = np.bincount(rows, minlength=n)
    assert (np.abs(seen - weights) < 1 + 1e-9).all()


def balanced(tmp_path, by, metadata, label_names=("x", "y"), kind="uniform_per_prompt"):
    n = 24
    ids = [f"i{row}" for row in range(n)]
    labels = np.arange(n) % len(label_names) if label_names else np.full(n, -1)
    images = Images(
        ids, labels, list(label_names), np.zeros(n, np.int8), [""] * n, np.ones((n, 2), int), metadata, source=None
    )
    clusters = Clusters(ids, np.arange(n) // 2 % 3, np.zeros(n, np.float32), {})
    config = BalancingConfig(method=members(Balancer)[kind](kind=kind), by=by)
    return images, balancing.function(config, images, clusters, work=Work(folder=tmp_path))


def test_groups_may_be_labels_alone_clusters_alone_or_any_column(tmp_path):
    sexes = {"sex": ["f"] * 18 + ["m"] * 5 + [None]}
    _, found = balanced(tmp_path, ("sex",), sexes)
    assert [(row["group"], row["images"], row["picked"]) for row in found.groups] == [
        ("sex None", 1, 1),
        ("sex f", 18, 1),
        ("sex m", 5, 1),
    ]
    _, found = balanced(tmp_path, ("sex", "cluster"), {"sex": ["f", "m", "m"] * 8})
    assert found.groups[0] == {"group": "sex f, cluster 0", "images": 4, "picked": 4, "share": 0.25}
    _, found = balanced(tmp_path, ("label", "cluster"), {}, label_names=())
    assert [row["group"] for row in found.groups] == ["cluster 0", "cluster 1", "cluster 2"]
    with pytest.raises(DataError, match="no column 'age'"):
        balanced(tmp_path, ("age",), {})


def test_three_keys_make_groups_of_all_three(tmp_path):
    _, found = balanced(tmp_path, ("label", "cluster", "sex"), {"sex": ["f"] * 12 + ["m"] * 12}, kind="none")
    assert len(found.groups) == 12
    assert found.groups[0]["group"] == "x, cluster 0, sex f"
    assert sum(row["share"] for row in found.groups) == pytest.approx(1)


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


def test_validation_images_come_along_where_their_group_is_trained_on(tmp_path):
    ids = list("abcdef")
    splits = np.array([TRAIN, TRAIN, TRAIN, VALIDATION, VALIDATION, VALIDATION], np.int8)
    labels, clusters = np.array([0, 0, 1, 0, 1, 1]), np.array([0, 0, 1, 0, 0, -1])
    images = Images(ids, labels, ["x", "y"], splits, [""] * 6, np.ones((6, 2), int), {}, source=None)
    found = balancing.function(
        BalancingConfig(method="none"),
        images,
        Clusters(ids, clusters, np.zeros(6, np.float32), {}),
        work=Work(folder=tmp_path),
    )
    assert found.ids == ["a", "b", "c"]
    assert (found.validation.ids, found.validation.labels) == (["d"], ["x"])  # no y in cluster 0 is trained on


def prompt(label, cluster, n):
    return Prompt(f"{label}{cluster}", "text", label, cluster, n)


def test_arms_with_other_captions_generate_as_many_images_per_label():
    label_only = [prompt("a", None, 30), prompt("b", None, 30)]
    enriched = [prompt("a", 0, 10), prompt("a", 1, 10), prompt("a", 2, 10), prompt("b", 0, 15), prompt("b", 1, 15)]
    rule = PerLabel(kind="per_label", images=100)
    assert rule.counts(label_only) == [100, 100]
    assert rule.counts(enriched) == [34, 33, 33, 50, 50]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 300))
def test_the_images_of_a_label_add_up_exactly_and_follow_the_training_set(sizes, images):
    counts = PerLabel(kind="per_label", images=images).counts([prompt("a", c, n) for c, n in enumerate(sizes)])
    assert sum(counts) == images
    assert all(abs(count - images * n / sum(sizes)) < 1 for count, n in zip(counts, sizes, strict=True))


def test_a_fixed_number_per_prompt_is_that_number():
    assert PerPrompt(kind="per_prompt", images=3).counts([prompt("a", 0, 1), prompt("a", 1, 99)]) == [3, 3]
