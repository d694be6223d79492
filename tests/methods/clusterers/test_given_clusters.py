"""Clusters that an expert, or another program, has given."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mep.artifacts import HELDOUT, TRAIN, VALIDATION, Clusters, Embeddings, Images, Inliers
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.clusterers.given import Given
from mep.sections.clustering import ClusteringConfig
from mep.stages.clustering import clustering

COLUMN = ["gland", "gland", "stroma", "gland", "", "stroma", "gland", "fat", "-1"]
SPLITS = [TRAIN] * 5 + [VALIDATION] * 2 + [HELDOUT] * 2
VECTORS = np.array([[0.0], [1.0], [9.0], [2.0], [5.0], [0.0], [9.0], [0.0], [9.0]], np.float32)


def fitted(folder, column=COLUMN, method=None, vectors=VECTORS):
    n = len(column)
    ids = [f"{row}.png" for row in range(n)]
    images = Images(
        ids, np.full(n, -1), [], np.array(SPLITS[:n], np.int8), [""] * n, np.ones((n, 2), int), {"type": column}, None
    )
    seen = ids[:7]
    embeddings, inliers = Embeddings(seen, vectors[:7]), Inliers(seen, np.ones(7, bool), [""] * 7, {})
    config = ClusteringConfig(method=method or Given(kind="given", column="type"))
    return clustering.function(config, images, embeddings, inliers, work=Work(folder=folder / "work"))


def test_the_largest_is_cluster_0_and_a_blank_is_none(tmp_path):
    clusters = fitted(tmp_path)
    # training: gland, gland, stroma, gland, blank; validation as it was given, whatever the vector says
    assert clusters.labels.tolist() == [0, 0, 1, 0, -1, 1, 0]
    assert clusters.names == {0: "gland", 1: "stroma"}
    assert [one["size"] for one in clusters.summaries] == [3, 1]
    assert clusters.summaries[0]["stability"] is None


def test_held_out_images_have_the_cluster_that_they_were_given(tmp_path):
    clusters = fitted(tmp_path)
    heldout = clusters.assign(VECTORS[7:], ["7.png", "8.png"])
    assert heldout.tolist() == [-1, 1]  # no training image is fat; -1 was nothing, so the vector tells
    (tmp_path / "saved").mkdir()
    clusters.save(tmp_path / "saved")
    back = Clusters.load(tmp_path / "saved", clusters.assigner)
    assert (back.names, back.given) == (clusters.names, clusters.given)
    assert np.array_equal(back.assign(VECTORS[7:], ["7.png", "8.png"]), heldout)


@pytest.mark.parametrize("numbers", [["4", "4", "2", "4", "", "2", "4"], [4.0, 4.0, 2.0, 4.0, None, 2.0, 4.0]])
def test_numbers_are_kept_as_they_were_given(tmp_path, numbers):
    clusters = fitted(tmp_path, numbers)
    assert clusters.labels.tolist() == [4, 4, 2, 4, -1, 2, 4]
    assert clusters.names == {}
    assert [one["cluster"] for one in clusters.summaries] == [2, 4]


def test_a_table_gives_them_as_well_and_its_content_counts(tmp_path):
    (tmp_path / "types.csv").write_text("file_name,subtype\n" + "".join(f"{row},{COLUMN[row]}\n" for row in range(9)))
    method = Given(kind="given", path=tmp_path / "types.csv", column="subtype")
    assert np.array_equal(fitted(tmp_path, ["x"] * 7, method).labels, fitted(tmp_path / "b").labels)
    assert method.externals(lambda path: path.name) == {"table": "types.csv"}


def test_a_new_image_goes_where_linear_discriminant_analysis_puts_it():
    rng = np.random.default_rng(0)
    names = np.repeat(["a", "b", "c"], [40, 60, 20])
    vectors = rng.normal(size=(120, 3)) @ [[3, 0, 0], [1, 1, 0], [0, 0, 0.1]] + np.eye(3)[[ord(n) - 97 for n in names]]
    method = Given(kind="given")
    partition, order = method.partition(list(names), vectors.astype(np.float32))
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(vectors, names)
    new = rng.normal(size=(500, 3)).astype(np.float32)
    found = np.array(order)[method.assign(partition.state, new)]
    assert (found == reference.predict(new)).mean() > 0.97  # the shrinkage of the covariance is all that differs


def test_a_column_that_says_nothing_or_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="column 'type' gives none of the 5 training images a cluster"):
        fitted(tmp_path, [""] * 7)
    with pytest.raises(DataError, match="the dataset has no column 'subtype'") as caught:
        fitted(tmp_path, method=Given(kind="given", column="subtype"))
    assert (caught.value.field, caught.value.hint[:13]) == ("clustering.method.column", "columns: type")
