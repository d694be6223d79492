import sys

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import adjusted_rand_score

from mep.errors import DataError, EnvironmentLacks
from mep.methods.clusterers.hdbscan import Hdbscan
from mep.methods.reducers import Reducer
from mep.methods.reducers.pca import Pca
from mep.methods.reducers.umap import Umap
from mep.registry import kinds
from mep.sections.clustering import ClusteringConfig


def spread(n=60):
    """Widths 3, 1 and 0.01 along three axes that are turned."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return (rng.normal(size=(n, 3)) * [3, 1, 0.01] @ turn).astype(np.float32)


def test_principal_components_keep_what_differs_and_new_vectors_come_to_the_same_place():
    vectors, config = spread(), ClusteringConfig(reduce={"kind": "pca", "dims": 2}, method="none")
    state = config.learn(vectors, seed=0)
    places = config.reduced(state, vectors)
    assert places.shape == (60, 2)
    assert places.var(0).sum() == pytest.approx(vectors.var(0).sum(), rel=1e-4)
    assert config.reduced(state, vectors[:5]) == pytest.approx(places[:5], abs=1e-6)
    old = ClusteringConfig(pca=2, method="none")
    assert np.array_equal(old.reduced(old.learn(vectors, seed=0), vectors), places)
    assert "reduce" not in old.dump()  # what was made before there were reducers is reused


def test_components_and_a_reducer_follow_each_other_in_one_state(monkeypatch):
    halved = Pca(kind="pca", dims=1)
    monkeypatch.setattr(Umap, "learn", lambda self, vectors, seed: {"umap_seen": np.array(vectors.shape)})
    monkeypatch.setattr(Umap, "apply", lambda self, state, vectors: vectors[:, :1])
    config = ClusteringConfig(pca=2, reduce={"kind": "umap"}, method="none")
    state = config.learn(spread(), seed=0)
    assert state["umap_seen"].tolist() == [60, 2]  # what the components left
    assert config.reduced(state, spread()).shape == (60, 1)
    with pytest.raises(ValidationError, match="say the same"):
        ClusteringConfig(pca=2, reduce=halved, method="none")
    with pytest.raises(DataError, match="4 principal components are asked of 60 images with 3 dimensions"):
        ClusteringConfig(reduce={"kind": "pca", "dims": 4}, method="none").learn(spread(), seed=0)
    assert set(kinds(Reducer)) == {"pca", "umap"}


def test_a_new_vector_lands_among_its_nearest_by_one_over_their_distances():
    # distances 1 and 3 to two images at 0 and 8: (0 / 1 + 8 / 3) / (1 + 1 / 3) = 2; on an image it lands where that is
    state = {"umap_vectors": np.array([[0], [4]], np.float32), "umap_places": np.array([[0], [8]], np.float32)}
    places = Umap(kind="umap").apply(state, np.array([[1], [4]], np.float32))
    assert places == pytest.approx(np.array([[2], [8]]))


def test_the_extra_is_named_and_more_dimensions_than_images_are_told(monkeypatch):
    with pytest.raises(DataError, match="10 dimensions are asked of 5 images"):
        Umap(kind="umap").learn(np.zeros((5, 20), np.float32), seed=0)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(EnvironmentLacks, match="the package umap-learn is missing") as caught:
        Umap(kind="umap").require()
    assert "pip install 'mep[umap]'" in caught.value.hint


def test_density_finds_nothing_in_many_dimensions_and_the_planted_groups_after_umap():
    pytest.importorskip("umap", reason="umap-learn is an extra: pip install 'mep[umap]'")
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(3), 130)
    vectors = 0.4 * rng.normal(size=(3, 400))[groups] + rng.normal(size=(390, 400))
    order = rng.permutation(390)
    vectors, groups = vectors[order].astype(np.float32), groups[order]
    clusterer = Hdbscan(kind="hdbscan", min_cluster_size=20, noise="nearest")
    with pytest.raises(DataError, match="every image is noise"):
        clusterer.fit(vectors[:300], seed=0)
    config = ClusteringConfig(reduce={"kind": "umap", "dims": 2, "neighbours": 15}, method="none")
    state = config.learn(vectors[:300], seed=3)
    places = config.reduced(state, vectors)
    partition = clusterer.fit(places[:300], seed=0)
    assert adjusted_rand_score(groups[:300], partition.labels) == 1
    assert adjusted_rand_score(groups[300:], clusterer.assign(partition.state, places[300:])) == 1
    assert np.array_equal(config.learn(vectors[:300], seed=3)["umap_places"], state["umap_places"])
