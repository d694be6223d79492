"""What a model can be told beside captions: picked by its record, merged to means, thinned, and read again."""

import numpy as np
import pytest

from mep.diffusion.cues import NONE, Cues, Vectors
from mep.errors import DataError

LABELS, CLUSTERS = ["a", "a", "a", "b", "b"], np.array([0, 0, 1, 0, 0])
WEIGHTS = np.array([1.0, 3.0, 1.0, 1.0, 0.0])  # the last one is a validation image
VALUES = np.array([[0, 5], [4, 5], [8, 5], [2, 5], [100, 5]], dtype=np.float32)


@pytest.fixture
def cues():
    return Cues(LABELS, CLUSTERS, WEIGHTS, Vectors.scaled_by(VALUES, np.arange(5), np.arange(4)))


def test_vectors_have_mean_0_and_deviation_1_over_those_that_are_trained_on(cues):
    told = cues.inputs(np.arange(5))
    assert told[:4].mean(0) == pytest.approx([0, 0, 1], abs=1e-6)
    assert told[:4].std(0) == pytest.approx([1, 0, 0], abs=1e-6)  # the second number is the same for all
    assert told[:, -1].tolist() == [1] * 5
    assert cues.inputs(np.array([NONE])).tolist() == [[0, 0, 0]]


def test_the_scale_is_that_of_numpy_however_many_are_read_at_once(monkeypatch):
    monkeypatch.setattr("mep.diffusion.cues.CHUNK", 3)
    values = np.random.default_rng(0).normal(50, 3, (20, 4)).astype(np.float32)
    scale = Vectors.scaled_by(values, np.arange(20), np.arange(20)).scale
    assert scale == pytest.approx(np.stack([values.mean(0), values.std(0)]), rel=1e-4)  # sums of squares, float64


def test_a_row_is_picked_by_its_record_as_often_as_its_weight_says(cues):
    picked = [cues.pick("a", 0, seed) for seed in range(2000)]
    assert set(picked) == {0, 1}
    assert np.mean(picked) == pytest.approx(0.75, abs=0.03)  # three standard errors
    assert picked == [cues.pick("a", 0, seed) for seed in range(2000)]
    assert {cues.pick("b", None, seed) for seed in range(50)} == {3}, "a validation image is never drawn with"
    assert {cues.pick(None, None, seed) for seed in range(200)} == {0, 1, 2, 3}
    with pytest.raises(DataError, match="no training image has label b and cluster 1"):
        cues.pick("b", 1, 0)


def test_merged_rows_are_weighted_means_in_the_scale_of_all(cues):
    merged = cues.merged()
    assert list(zip(merged.labels, merged.clusters.tolist(), strict=True)) == [("a", 0), ("a", 1), ("b", 0)]
    assert merged.vectors.of(np.arange(3)).tolist() == [[3, 5], [8, 5], [2, 5]]  # (0 + 3 x 4) / 4
    assert merged.weights.tolist() == [4, 1, 1]
    assert merged.inputs(np.array([1])).tolist() == cues.inputs(np.array([2])).tolist()
    classes = Cues(LABELS, CLUSTERS, WEIGHTS).merged()
    assert classes.inputs(np.array([2, NONE])).tolist() == [2, 3]
    assert classes.width == 4


def test_a_thinned_group_weighs_what_it_did(cues):
    thin = cues.thinned(1, seed=0)
    assert thin.labels == ["a", "a", "b"]
    assert thin.weights.tolist() == [4, 1, 1]
    assert cues.thinned(10, seed=0).inputs(np.arange(4)).tolist() == cues.inputs(np.arange(4)).tolist()


@pytest.mark.parametrize("has_vectors", [True, False])
def test_what_is_saved_is_what_is_loaded(cues, tmp_path, has_vectors):
    saved = cues.thinned(9, seed=0) if has_vectors else Cues(LABELS, CLUSTERS, WEIGHTS).merged()
    saved.save(tmp_path)
    loaded, rows = Cues.load(tmp_path), np.array([0, 2, NONE])
    assert loaded.inputs(rows).tolist() == saved.inputs(rows).tolist()
    assert [loaded.pick("a", None, seed) for seed in range(9)] == [saved.pick("a", None, seed) for seed in range(9)]
