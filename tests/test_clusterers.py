import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from mep.artifacts import TRAIN, VALIDATION, Embeddings, Images, Inliers
from mep.clusterers import Clusterer
from mep.clusterers.hdbscan import Hdbscan
from mep.clusterers.kmeans import KMeans
from mep.errors import DataError
from mep.registry import members
from mep.stage import Work
from mep.stages.clustering import ClusteringConfig, clustering

SETTINGS = {"kmeans": {"k": 3}, "hdbscan": {"min_cluster_size": 5}}


def blobs(n=120):
    vectors, groups = make_blobs(n, n_features=6, centers=3, cluster_std=0.5, random_state=0)
    return vectors.astype(np.float32), groups


@pytest.mark.parametrize("kind", members(Clusterer))
def test_every_clusterer_repeats_itself_and_assigns_its_own_vectors_to_their_clusters(kind):
    vectors, _ = blobs()
    clusterer = members(Clusterer)[kind](kind=kind, **SETTINGS.get(kind, {}))
    first, second = clusterer.fit(vectors, seed=5), clusterer.fit(vectors, seed=5)
    assert np.array_equal(first.labels, second.labels)
    inside = first.labels >= 0
    assert np.array_equal(clusterer.assign(first.state, vectors)[inside], first.labels[inside])
    assert np.isfinite(first.distances[inside]).all()


@pytest.mark.parametrize("clusterer", [KMeans(kind="kmeans", k=3), Hdbscan(kind="hdbscan")])
def test_three_far_blobs_are_three_clusters(clusterer):
    vectors, groups = blobs()
    assert adjusted_rand_score(groups, clusterer.fit(vectors, seed=0).labels) > 0.95


def test_kmeans_with_the_original_seed_gives_scikit_learns_partition():
    vectors = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    expected = Reference(33, random_state=18021999, n_init=10).fit_predict(vectors)
    assert np.array_equal(KMeans(kind="kmeans", k=33).fit(vectors, seed=18021999).labels, expected)


def test_more_clusters_than_images_is_told_with_the_field():
    with pytest.raises(DataError, match="9 clusters are asked of 5 images") as caught:
        KMeans(kind="kmeans", k=9).fit(np.zeros((5, 2), np.float32), seed=0)
    assert caught.value.field == "clustering.method.k"


def test_hdbscan_that_finds_nothing_says_so():
    line = np.linspace(0, 1, 30, dtype=np.float32)[:, None] ** 3 * 100
    with pytest.raises(DataError, match=r"no cluster|asked of"):
        Hdbscan(kind="hdbscan", min_cluster_size=16).fit(line, seed=0)


def stage_inputs(vectors, keep, splits=None):
    ids = [str(row) for row in range(len(vectors))]
    splits = np.zeros(len(ids), np.int8) if splits is None else np.array(splits, np.int8)
    n = len(ids)
    images = Images(ids, np.full(n, -1), [], splits, [""] * n, np.ones((n, 2), int), {}, source=None)
    return images, Embeddings(ids, vectors), Inliers(ids, keep, ["" if one else "far" for one in keep], {})


def test_clusters_are_numbered_by_size_and_outliers_have_none(tmp_path):
    vectors = np.concatenate([np.zeros((5, 2)), np.full((20, 2), 9.0), [[500.0, 500.0]]]).astype(np.float32)
    config = ClusteringConfig(method=KMeans(kind="kmeans", k=2))
    clusters = clustering.function(config, *stage_inputs(vectors, np.arange(26) < 25), work=Work(folder=tmp_path))
    assert clusters.labels.tolist() == [1] * 5 + [0] * 20 + [-1]
    assert np.isnan(clusters.distances[25])
    rank = clusters.state["rank"]
    assert rank[config.method.assign(clusters.state, vectors[:1])].tolist() == [1]


def test_validation_images_are_assigned_to_clusters_that_they_did_not_shape(tmp_path):
    vectors = np.array([[0.0], [0.2], [0.1], [9.0], [9.2], [1.0], [500.0], [500.0]], np.float32)
    splits = [TRAIN] * 5 + [VALIDATION] * 3
    config = ClusteringConfig(method=KMeans(kind="kmeans", k=2))
    clusters = clustering.function(config, *stage_inputs(vectors, np.arange(8) < 7, splits), work=Work(folder=tmp_path))
    assert clusters.labels.tolist() == [0, 0, 0, 1, 1, 0, 1, -1]  # 500 is far, yet nearest to the centre at 9.1
    assert sorted(clusters.state["centers"].ravel().tolist()) == pytest.approx([0.1, 9.1])
