"""Clusters within clusters, and how probable each cluster is."""

import numpy as np
import pytest
from planted import NESTED, nested
from pydantic import ValidationError
from scipy.stats import norm
from sklearn.metrics import adjusted_rand_score
from test_clusterers import SETTINGS, blobs, of_kind

from mep.errors import DataError
from mep.methods.clusterers import Clusterer
from mep.methods.clusterers._numbering import codes_of, second_of
from mep.methods.clusterers.gmm import GaussianMixture
from mep.methods.clusterers.hierarchical import Hierarchical
from mep.methods.clusterers.kmeans import KMeans
from mep.registry import members


def test_planted_groups_within_groups_are_found_and_held_out_images_go_into_theirs():
    vectors, coarse, groups = nested()
    clusterer = Hierarchical(kind="hierarchical", **NESTED)
    partition = clusterer.fit(vectors, seed=1)
    assert adjusted_rand_score(groups, partition.labels) == 1
    assert adjusted_rand_score(coarse, partition.parents[partition.labels]) == 1
    others, _, expected = nested(seed=9)
    found = clusterer.assign(partition.state, others)
    assert adjusted_rand_score(expected, found) == 1
    assert adjusted_rand_score([*groups, *expected], [*partition.labels, *found]) == 1  # in the same numbering


def test_a_small_coarse_cluster_stays_whole_and_one_that_cannot_be_divided_is_told():
    vectors, _, groups = nested()
    few = vectors[(groups < 3) | (np.arange(len(groups)) % 40 < 4)]  # 120 images here, 12 there
    partition = Hierarchical(kind="hierarchical", **NESTED, split_from=20).fit(few, seed=0)
    assert sorted(np.bincount(partition.parents)) == [1, 3]
    many = NESTED | {"fine": {"kind": "kmeans", "k": 30}}
    with pytest.raises(DataError, match=r"in coarse cluster \d, 30 clusters are asked of 12 images") as caught:
        Hierarchical(kind="hierarchical", **many, split_from=5).fit(few, seed=0)
    assert "raise split_from" in caught.value.hint
    chosen = NESTED | {"fine": {"kind": "kmeans", "k": {"choose": [2, 3]}}}
    with pytest.raises(ValidationError, match=r"fine\.k has to be a number"):
        Hierarchical(kind="hierarchical", **chosen)


def test_codes_count_coarse_clusters_by_size_and_fine_ones_within_them():
    # labels 0 and 2 lie in coarse 5, label 1 in coarse 4; coarse 5 has six images, coarse 4 five
    labels, numbers = np.repeat([0, 1, 2, -1], [2, 5, 4, 9]), np.array([2, 0, 1])
    parents = np.array([1, 0, 1])
    assert codes_of(parents, labels, numbers, None) == {0: (1, 0), 1: (0, 0), 2: (0, 1)}
    before = np.where(labels == 1, 0, 1)  # the numbers of an earlier clustering are kept
    assert codes_of(parents, labels, numbers, before) == {0: (0, 0), 1: (1, 0), 2: (1, 1)}
    assert codes_of(None, labels, numbers, None) == {}


def test_a_second_cluster_is_the_next_probable_one_where_it_is_probable_enough():
    chances = np.array([[0.7, 0.3, 0], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4], [0.5, 0.5, 0], [np.nan] * 3], np.float32)
    labels = np.array([0, 1, 2, -1, 1])
    assert second_of(chances, labels, 0.25).tolist() == [1, -1, 0, -1, -1]
    assert second_of(chances, labels, 0.2).tolist() == [1, 2, 0, -1, -1]


def test_chances_beside_centres_are_those_of_round_gaussians():
    # pencil: centres 1 and 11, variance 1; halfway 1/2, one unit nearer e^10 : 1
    clusterer, vectors = KMeans(kind="kmeans", k=2), np.array([[0], [2], [10], [12]], np.float32)
    partition = clusterer.fit(vectors, seed=0)
    state = partition.state | clusterer.soften(vectors, partition.labels)
    assert float(state["soft_variance"]) == pytest.approx(1)
    chances = clusterer.memberships(state, np.array([[6], [5]], np.float32))[:, partition.labels[0]]
    assert chances == pytest.approx([0.5, 1 / (1 + np.exp(-10))], abs=1e-6)


def test_chances_of_a_mixture_are_the_posterior_that_it_was_drawn_from():
    # 0.7 N(0, 1) + 0.3 N(6, 1)
    rng = np.random.default_rng(0)
    vectors = np.where(rng.random(20_000) < 0.7, rng.normal(0, 1, 20_000), rng.normal(6, 1, 20_000))
    clusterer = GaussianMixture(kind="gmm", k=2)
    partition = clusterer.fit(vectors[:, None].astype(np.float32), seed=0)
    points = np.array([2.6, 3.0, 3.4], np.float32)
    second = int(partition.state["means"].ravel().argmax())
    left, right = 0.7 * norm.pdf(points, 0), 0.3 * norm.pdf(points, 6)
    found = clusterer.memberships(partition.state, points[:, None])[:, second]
    assert found == pytest.approx(right / (left + right), abs=0.03)  # standard error of the fit, 20,000 images


@pytest.mark.parametrize("kind", sorted(SETTINGS.keys() - {"random"}))
def test_an_image_that_lies_within_a_cluster_belongs_to_it_whatever_found_it(kind):
    vectors, _ = blobs()
    clusterer = of_kind(kind)
    partition = clusterer.fit(vectors[:90], seed=0)
    state = partition.state | clusterer.soften(vectors[:90], partition.labels)
    assert all(array.dtype.kind in "fiu" for array in state.values())
    chances = clusterer.memberships(state, vectors[90:])
    assert chances.sum(1) == pytest.approx(np.ones(30), abs=1e-5)
    found = clusterer.assign(state, vectors[90:])
    inside = found >= 0
    assert inside.mean() > 0.8
    assert np.array_equal(chances.argmax(1)[inside], found[inside])
    assert kind in members(Clusterer)
