import csv

import numpy as np
import pytest
from PIL import Image

from mep.detectors import Detector
from mep.detectors.hsv import Hsv, hsv_features
from mep.pixels import to_rgb
from mep.registry import members

COLUMNS = {"mean_v": "mean_V", "median_v": "median_V", "std_v": "std_V", "mean_s": "mean_S", "median_s": "median_S"} | {
    "std_s": "std_S",
    "std_h": "std_H",
    "var_l": "var_L",
    "n_contour": "n_contour",
}


def test_features_and_verdicts_equal_the_original_on_the_real_patches(pcam):
    with (pcam.parents[1] / "parity" / "outliers_pcam.csv").open() as file:
        expected = list(csv.DictReader(file))
    images = [to_rgb(Image.open(pcam / row["path"])) for row in expected]
    verdict = Hsv(kind="hsv").inspect(len(images), images.__getitem__, np.zeros((len(images), 1)), map)
    for name, column in COLUMNS.items():
        assert verdict.features[name] == pytest.approx([float(row[column]) for row in expected], rel=1e-6), name
    rules = [name for name in expected[0] if name.startswith("remove") and name != "remove_VandS"]
    assert verdict.mask.tolist() == [all(row[rule] == "keep" for rule in rules) for row in expected]


def test_outlines_count_regions_and_the_holes_in_them():
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[2:12, 2:12] = 255  # a region
    pixels[5:8, 5:8] = 0  # with a hole
    pixels[15:18, 15:18] = 255  # and another region
    assert hsv_features(pixels)["n_contour"] == 3


def test_a_removed_image_says_why():
    flat = np.full((16, 16, 3), 40, dtype=np.uint8)
    verdict = Hsv(kind="hsv").inspect(1, lambda row: flat, np.zeros((1, 1)), map)
    assert not verdict.mask[0]
    assert "mean_v 40 < 70" in verdict.reasons[0]
    assert "n_contour 0 < 10" in verdict.reasons[0]


@pytest.mark.parametrize("kind", members(Detector))
def test_every_detector_gives_a_verdict_and_a_reason_for_each_removal(kind):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (6, 16, 16, 3), dtype=np.uint8)
    verdict = members(Detector)[kind](kind=kind).inspect(6, images.__getitem__, rng.normal(size=(6, 4)), map)
    assert verdict.mask.shape == (6,)
    assert [bool(reason) for reason in verdict.reasons] == (~verdict.mask).tolist()
