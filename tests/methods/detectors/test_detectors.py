import csv
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from small_data import in_memory

from mep.artifacts import Inliers
from mep.imaging.pixels import to_rgb
from mep.machine.work import Work
from mep.methods.detectors import Detector, hsv
from mep.methods.detectors._compiled_counts import compiled_counts
from mep.methods.detectors._pixel_counts import _n_outlines, counts_of
from mep.methods.detectors.hsv import NAMES, Hsv, features, measure_features
from mep.registry import members

COLUMNS = {"mean_v": "mean_V", "median_v": "median_V", "std_v": "std_V", "mean_s": "mean_S", "median_s": "median_S"} | {
    "std_s": "std_S",
    "std_h": "std_H",
    "var_l": "var_L",
    "n_contour": "n_contour",
}


def test_features_and_verdicts_equal_the_original_on_the_real_patches(pcam, tmp_path):
    with (pcam.parents[1] / "parity" / "outliers_pcam.csv").open() as file:
        expected = list(csv.DictReader(file))
    images = [to_rgb(Image.open(pcam / row["path"])) for row in expected]
    verdict = Hsv(kind="hsv").inspect(in_memory(images), *blank(len(images)), Work(folder=tmp_path))
    for name, column in COLUMNS.items():
        assert verdict.features[name] == pytest.approx([float(row[column]) for row in expected], rel=1e-6), name
    rules = [name for name in expected[0] if name.startswith("remove") and name != "remove_VandS"]
    assert verdict.mask.tolist() == [all(row[rule] == "keep" for rule in rules) for row in expected]


def test_outlines_count_regions_and_the_holes_in_them():
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[2:12, 2:12] = 255  # a region
    pixels[5:8, 5:8] = 0  # with a hole
    pixels[15:18, 15:18] = 255  # and another region
    assert feature_of(pixels)["n_contour"] == 3


def test_a_removed_image_says_why(tmp_path):
    flat = np.full((16, 16, 3), 40, dtype=np.uint8)
    verdict = Hsv(kind="hsv").inspect(in_memory([flat]), *blank(1), Work(folder=tmp_path))
    assert not verdict.mask[0]
    assert "mean_v 40 < 70" in verdict.reasons[0]
    assert "n_contour 0 < 10" in verdict.reasons[0]


@pytest.mark.parametrize("shape", [(7, 9), (1, 5), (96, 96)])
def test_statistics_from_counts_equal_those_of_the_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    h, s, v = np.moveaxis(np.asarray(Image.fromarray(pixels).convert("HSV")), 2, 0).astype(float)
    found = feature_of(pixels)
    assert found["mean_v"] == pytest.approx(v.mean())
    assert found["median_s"] == np.median(s)
    assert found["std_h"] == pytest.approx(h.std())


def test_compiled_counts_equal_those_of_pillow_numpy_and_scipy_to_the_bit():
    rng = np.random.default_rng(3)
    shapes = [(1, 1), (1, 5), (5, 1), (2, 2), *rng.integers(1, 14, (300, 2)), (96, 96), (200, 130)]
    pictures = [noise(rng, *shape) for shape in shapes]
    expected = features([counts_of(Image.fromarray(pixels)) for pixels in pictures])
    assert np.array_equal(features([compiled_counts()(pixels) for pixels in pictures]), expected)


def noise(rng, height, width):
    """Random colours, some pictures in few and some in dark or bright ones."""
    colours = rng.integers(0, 256, (height, width, 3)) // rng.integers(1, 90)
    return (colours + rng.integers(0, 2) * 140).clip(0, 255).astype(np.uint8)


def test_compiled_hue_saturation_and_value_are_pillows_for_all_colours():
    for red in range(256):  # a picture has the 256 colours of one red and one green
        colours = np.full((256, 256, 3), red, dtype=np.uint8)
        colours[..., 1], colours[..., 2] = np.indices((256, 256))
        pillows = np.asarray(Image.fromarray(colours).convert("HSV"), dtype=np.int64)
        places = pillows + 256 * np.arange(3) + 768 * np.arange(256)[:, None, None]
        expected = np.bincount(places.ravel(), minlength=256 * 768).reshape(256, 768)
        found = np.array([compiled_counts()(row[None]).hsv for row in colours])
        assert np.array_equal(found, expected), red


def test_many_pixels_are_measured_by_compiled_functions_and_without_numba_by_others(pcam, tmp_path, monkeypatch):
    images = in_memory([to_rgb(Image.open(path)) for path in sorted(pcam.rglob("*.jpg"))[:40]])
    asked = []
    monkeypatch.setattr(hsv, "compiled_counts", lambda: asked.append(compiled_counts()) or asked[-1])
    few = measure_features(images, Work(folder=tmp_path / "few"))
    assert asked == []
    monkeypatch.setattr(hsv, "WORTH_COMPILING", 40 * 96 * 96)
    many = measure_features(images, Work(folder=tmp_path / "many"))
    monkeypatch.setitem(sys.modules, "numba", None)  # importing it fails
    compiled_counts.cache_clear()
    without = measure_features(images, Work(folder=tmp_path / "without"))
    compiled_counts.cache_clear()
    assert [bool(function) for function in asked] == [True, False]
    assert all(np.array_equal(few[name], many[name]) and np.array_equal(few[name], without[name]) for name in NAMES)


@given(st.integers(0, 2**25 - 1))
def test_outlines_by_eulers_formula_equal_those_that_are_counted(picture):
    bright = np.array([picture >> bit & 1 for bit in range(25)], dtype=bool).reshape(5, 5)
    regions = ndimage.label(bright, np.ones((3, 3)))[1]
    holes = ndimage.label(np.pad(~bright, 1, constant_values=True))[1] - 1
    assert _n_outlines(bright) == regions + holes


@pytest.mark.parametrize("kind", sorted(members(Detector).keys() - {"given"}))  # which looks at no image
def test_every_detector_gives_a_verdict_and_a_reason_for_each_removal(kind, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (30, 16, 16, 3), dtype=np.uint8)
    vectors = rng.normal(size=(30, 4)).astype(np.float32)
    verdict = of_kind(kind).inspect(in_memory(images), vectors, np.ones(30, bool), Work(folder=tmp_path))
    assert verdict.mask.shape == (30,)
    assert [bool(reason) for reason in verdict.reasons] == (~verdict.mask).tolist()


@pytest.mark.parametrize("kind", ["isolation_forest", "lof", "knn"])
def test_an_embedding_far_from_all_others_is_removed_and_shapes_no_limit_from_outside_training(kind, tmp_path):
    vectors = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    vectors[7], vectors[199] = 50, 80
    train = np.arange(200) < 198
    verdict = of_kind(kind).inspect(None, vectors, train, Work(folder=tmp_path))
    assert not verdict.mask[[7, 199]].any()
    assert (~verdict.mask[train]).sum() == 2  # one per cent of 198, rounded up
    changed = vectors.copy()
    changed[198:] = 1000  # what is only judged moves no limit
    again = of_kind(kind).inspect(None, changed, train, Work(folder=tmp_path / "again"))
    assert np.array_equal(again.mask[train], verdict.mask[train])


def test_quantiles_are_those_of_the_dataset_and_not_of_histology(tmp_path):
    rng = np.random.default_rng(2)
    images = np.clip(rng.normal(60, 6, (101, 16, 16, 3)), 0, 255).astype(np.uint8)  # all too dark for hsv
    images[40] = 5
    work = Work(folder=tmp_path)
    verdict = of_kind("quantile").inspect(in_memory(images), *blank(101), work)
    assert not verdict.mask[40]
    assert "mean_v 5 <" in verdict.reasons[40]
    assert verdict.mask.mean() > 0.8
    assert not of_kind("hsv").inspect(in_memory(images), *blank(101), work).mask.any()


def test_removals_are_counted_by_rule():
    reasons = ["", "mean_v 40 < 70, n_contour 0 < 10", "mean_v 1 < 70"]
    inliers = Inliers(["a", "b", "c"], np.array([True, False, False]), reasons, {})
    assert inliers.rules == {"mean_v": 2, "n_contour": 1}
    assert inliers.facts() == {"kept": 1, "removed": 2, "by rule": "mean_v 2, n_contour 1"}


def feature_of(pixels):
    return dict(zip(NAMES, features([counts_of(Image.fromarray(pixels))])[0], strict=True))


def of_kind(kind):
    return members(Detector)[kind](kind=kind)


def blank(n):
    """Vectors that say nothing, and all of them training images."""
    return np.zeros((n, 1), np.float32), np.ones(n, bool)
