from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from mep.artifacts import TRAIN, VALIDATION, Embeddings, Images, Inliers
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.clusterers import ChooseK, Clusterer, _choice
from mep.methods.clusterers.gmm import GaussianMixture
from mep.methods.clusterers.hdbscan import Hdbscan
from mep.methods.clusterers.kmeans import KMeans
from mep.methods.clusterers.random import Random
from mep.methods.clusterers.spherical_kmeans import SphericalKMeans
from mep.registry import members
from mep.sections.clustering import ClusteringConfig
from mep.stages.clustering import clustering

SETTINGS = {kind: {"k": 3} for kind in ("kmeans", "minibatch_kmeans", "spherical_kmeans", "gmm", "agglomerative")}
SETTINGS |= {"leiden": {"neighbours": 15}, "hdbscan": {"min_cluster_size": 5}}
SETTINGS |= {"random": {"like": {"kind": "kmeans", "k": 3}}}
SETTINGS |= {"hierarchical": {"coarse": {"kind": "kmeans", "k": 3}, "fine": {"kind": "gmm", "k": 2}, "split_from": 99}}


def blobs(n=120):
    vectors, groups = make_blobs(n, n_features=6, centers=3, cluster_std=0.5, random_state=0)
    return vectors.astype(np.float32), groups


def of_kind(kind):
    return members(Clusterer)[kind](kind=kind, **SETTINGS.get(kind, {}))


@pytest.mark.parametrize("kind", sorted(members(Clusterer).keys() - {"given"}))  # which finds none itself
def test_every_clusterer_repeats_itself_and_assigns_its_own_vectors_to_their_clusters(kind):
    vectors, _ = blobs()
    clusterer = of_kind(kind)
    first, second = clusterer.fit(vectors, seed=5), clusterer.fit(vectors, seed=5)
    assert np.array_equal(first.labels, second.labels)
    inside = first.labels >= 0
    assert np.array_equal(clusterer.assign(first.state, vectors)[inside], first.labels[inside])
    assert np.isfinite(first.distances[inside]).all()
    assert first.labels.max() == (0 if kind == "none" else 2)
    assert all(array.dtype.kind in "fiu" for array in first.state.values())  # arrays, never a pickle


@pytest.mark.parametrize("kind", sorted(SETTINGS.keys() - {"random"}))
def test_three_far_blobs_are_three_clusters(kind):
    vectors, groups = blobs()
    assert adjusted_rand_score(groups, of_kind(kind).fit(vectors, seed=0).labels) > 0.95


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


def test_starts_on_a_sample_are_refined_on_all_images_to_the_same_inertia():
    vectors, _ = make_blobs(3000, n_features=20, centers=8, cluster_std=2.0, random_state=1)
    vectors = vectors.astype(np.float32)
    quick = KMeans(kind="kmeans", k=8, start_rows=500).fit(vectors, seed=0)
    full = KMeans(kind="kmeans", k=8, start_rows=None).fit(vectors, seed=0)
    inertia = [float((one.distances.astype(np.float64) ** 2).sum()) for one in (quick, full)]
    assert inertia[0] == pytest.approx(inertia[1], rel=1e-3)
    assert adjusted_rand_score(quick.labels, full.labels) > 0.99


def test_spherical_kmeans_looks_at_direction_alone():
    rng = np.random.default_rng(0)
    angle = np.repeat([0.2, 1.2], 40) + rng.normal(0, 0.02, 80)
    vectors = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.uniform(0.1, 50, (80, 1))
    found = SphericalKMeans(kind="spherical_kmeans", k=2).fit(vectors.astype(np.float32), seed=0).labels
    assert adjusted_rand_score(np.repeat([0, 1], 40), found) == 1


def test_random_clusters_have_the_sizes_of_the_clusterer_they_are_like_and_nothing_else():
    vectors = np.random.default_rng(2).normal(size=(400, 5)).astype(np.float32)
    like = KMeans(kind="kmeans", k=4)
    real, lots = like.fit(vectors, seed=3).labels, Random(kind="random", like=like).fit(vectors, seed=3).labels
    assert np.bincount(lots).tolist() == np.bincount(real).tolist()
    assert abs(adjusted_rand_score(real, lots)) < 0.05


def line_with_noise():
    rng = np.random.default_rng(0)
    groups = [rng.uniform(-0.3, 0.3, (30, 2)) + center for center in ([0, 0], [5, 5], [0, 9])]
    return np.concatenate([*groups, [[-9.0, -9.0], [19.0, 0.0]]]).astype(np.float32)


@pytest.mark.parametrize(("noise", "last"), [("drop", -1), ("own_cluster", 3), ("nearest", None)])
def test_what_hdbscan_finds_to_be_noise_is_dropped_kept_apart_or_joined(noise, last):
    vectors, clusterer = line_with_noise(), Hdbscan(kind="hdbscan", min_cluster_size=10, noise=noise)
    found = clusterer.fit(vectors, seed=0)
    assert set(found.labels[-2:].tolist()) <= ({last} if last is not None else {0, 1, 2})
    assert np.array_equal(clusterer.assign(found.state, vectors), found.labels)
    assert found.memberships.shape == (92, 3)
    assert (found.memberships[:90].argmax(1) == found.labels[:90]).all()


def test_memberships_of_a_mixture_add_up_to_one():
    vectors, _ = blobs()
    found = GaussianMixture(kind="gmm", k=3).fit(vectors, seed=0)
    assert found.memberships.sum(1) == pytest.approx(np.ones(120), abs=1e-5)


def test_the_validity_indices_have_their_closed_forms():
    # two clusters of two points each on a line: -1, 1 and 9, 11
    vectors = np.array([[-1.0], [1.0], [9.0], [11.0]])
    labels = np.array([0, 0, 1, 1])
    # variances 1 and 1; of all points: mean 5, (36 + 16 + 16 + 36) / 4 = 26
    assert _choice.scatter(vectors, labels) == pytest.approx(1 / 26)
    # one gap of 10 between two centres: D_max / D_min = 1, sum of 1 / 10 twice
    assert _choice.separation(vectors, labels) == pytest.approx(0.2)
    # radius sqrt(1 + 1) / 2 = 0.71: no point lies as near to a centre or to the middle
    assert _choice.s_dbw(vectors, labels) == pytest.approx(1 / 26)
    # a point in the middle of each cluster makes the centres dense (1 each) while the middle stays empty
    dense, both = np.array([[-1.0], [0.0], [1.0], [9.0], [10.0], [11.0]]), np.array([0, 0, 0, 1, 1, 1])
    assert _choice.s_dbw(dense, both) == pytest.approx((2 / 3) / (25 + 2 / 3))


@pytest.mark.parametrize("by", ["s_dbw", "sd", "silhouette", "davies_bouldin", "stability"])
def test_every_index_finds_the_number_of_far_blobs(by, tmp_path):
    vectors = make_blobs(150, n_features=2, centers=3, cluster_std=0.5, random_state=0)[0].astype(np.float32)
    method = KMeans(kind="kmeans", k=ChooseK(choose=(2, 3, 6), by=by))
    config = ClusteringConfig(method=method, resamples=0)
    work = Work(folder=tmp_path)
    clusters = clustering.function(config, *stage_inputs(vectors, np.ones(150, bool)), work=work)
    assert clusters.n_clusters == 3
    assert [(row["k"], row["chosen"]) for row in clusters.curve] == [(2, False), (3, True), (6, False)]
    assert "number of clusters" in (work.out / "curve.svg").read_text()


def test_the_same_scaling_and_rotation_is_done_to_new_images(tmp_path):
    vectors, groups = blobs()
    stretched = vectors * np.array([1, 1, 1, 1, 1, 500], np.float32) + 7
    config = ClusteringConfig(method=KMeans(kind="kmeans", k=3), scale="standard", pca=2)
    clusters = clustering.function(config, *stage_inputs(stretched, np.ones(120, bool)), work=Work(folder=tmp_path))
    assert adjusted_rand_score(groups, clusters.labels) > 0.95
    assert clusters.state["centers"].shape == (3, 2)
    assert np.array_equal(config.assign(clusters, stretched), clusters.labels)


def test_a_cluster_keeps_the_number_it_had_in_an_earlier_clustering(tmp_path):
    vectors, _ = blobs()
    keep = np.arange(120) % 3 > 0
    first = ClusteringConfig(method=KMeans(kind="kmeans", k=3))
    before = clustering.function(first, *stage_inputs(vectors, keep), work=Work(folder=tmp_path / "a"))
    before.labels[:] = np.where(before.labels >= 0, 2 - before.labels, -1)  # as another size order would have it
    (tmp_path / "before").mkdir()
    before.save(tmp_path / "before")
    again = ClusteringConfig(method=KMeans(kind="kmeans", k=4), ids_from=tmp_path / "before")
    after = clustering.function(again, *stage_inputs(vectors, np.ones(120, bool)), work=Work(folder=tmp_path / "b"))
    same = (after.labels < 3) & keep
    assert (after.labels[same] == before.labels[same]).all()
    assert set(after.labels.tolist()) == {0, 1, 2, 3}  # the fourth got the next free number


def test_a_cluster_card_says_what_the_cluster_is(tmp_path):
    vectors, groups = blobs()
    images, embeddings, inliers = stage_inputs(vectors, np.ones(120, bool))
    images = replace(images, labels=(groups == 0).astype(int), label_names=["rest", "special"])
    config = ClusteringConfig(method=KMeans(kind="kmeans", k=3))
    clusters = clustering.function(config, images, embeddings, inliers, work=Work(folder=tmp_path))
    assert [summary["cluster"] for summary in clusters.summaries] == [0, 1, 2]
    assert sorted(list(summary["labels"]) for summary in clusters.summaries) == [["rest"], ["rest"], ["special"]]
    for summary in clusters.summaries:
        rows = np.flatnonzero(clusters.labels == summary["cluster"])
        assert summary["medoids"][0] == clusters.ids[rows[clusters.distances[rows].argmin()]]
        assert summary["stability"] == 1
        assert 0 < summary["compactness"] < 0.1
        assert summary["nearest"] != summary["cluster"]


def test_images_that_are_all_alike_are_refused(tmp_path):
    inputs = stage_inputs(np.ones((9, 4), np.float32), np.ones(9, bool))
    config = ClusteringConfig(method=KMeans(kind="kmeans", k=2))
    with pytest.raises(DataError, match="all 9 images have the same embedding"):
        clustering.function(config, *inputs, work=Work(folder=tmp_path))
