import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score

from mep.errors import EnvironmentLacks
from mep.methods.clusterers.leiden import Leiden, shared_neighbours


def test_neighbours_are_joined_by_how_many_they_share():
    # pencil, one neighbour each: {0 1} {0 1} {1 2} {3 4} {3 4}; 1 and 2 share one of three
    pairs, weights = shared_neighbours(np.array([[0], [1], [2.5], [10], [11]], np.float32), 1)
    assert pairs.tolist() == [[0, 1], [1, 2], [3, 4]]
    assert weights == pytest.approx([1, 1 / 3, 1])


def test_two_halves_of_a_graph_are_the_clusters_that_have_the_highest_modularity():
    # two cliques of 6 that share nothing: modularity 1/2, which no other partition reaches
    vectors = np.concatenate([np.zeros((6, 2)), np.full((6, 2), 9.0)]).astype(np.float32)
    vectors += np.linspace(0, 0.1, 12)[:, None].astype(np.float32)
    labels = Leiden(kind="leiden", neighbours=5).fit(vectors, seed=3).labels
    assert adjusted_rand_score(np.arange(12) // 6, labels) == 1


def test_clusters_of_any_shape_are_found_and_new_images_go_where_their_neighbours_are():
    vectors, moons = make_moons(300, noise=0.04, random_state=0)
    vectors = vectors.astype(np.float32)
    clusterer = Leiden(kind="leiden", resolution=0.02)
    partition = clusterer.fit(vectors[:200], seed=0)
    assert adjusted_rand_score(moons[:200], partition.labels) == 1
    assert adjusted_rand_score(moons[200:], clusterer.assign(partition.state, vectors[200:])) == 1


def test_a_finer_resolution_gives_more_clusters():
    vectors = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    few, many = (Leiden(kind="leiden", resolution=r).fit(vectors, seed=1).labels.max() for r in (0.2, 3))
    assert few < many


def test_a_vote_counts_near_neighbours_more():
    # one over the distances: 1 and 1/3 for cluster 0, 1/2 for cluster 1
    state = {"vectors": np.array([[1.0], [-3], [2], [90]]), "owners": np.array([0, 0, 1, 1])}
    votes = Leiden(kind="leiden", neighbours=3).memberships(state, np.zeros((1, 1), np.float32))
    assert votes[0] == pytest.approx([(4 / 3) / (11 / 6), (1 / 2) / (11 / 6)])


def test_the_extra_is_named_where_its_library_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "leidenalg", None)
    with pytest.raises(EnvironmentLacks, match="the package leidenalg is missing") as caught:
        Leiden(kind="leiden").require()
    assert "pip install 'mep[leiden]'" in caught.value.hint
