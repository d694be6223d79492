"""Outliers that somebody has named."""

import numpy as np
import pytest
from pydantic import ValidationError

from mep.artifacts import HELDOUT, Embeddings, Images
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.detectors.given import Given
from mep.sections.outliers import OutliersConfig
from mep.stages.outliers import outliers


def found(folder, method, metadata=None):
    ids = [f"{letter}.png" for letter in "abcd"]
    splits = np.array([0, 0, 0, HELDOUT], np.int8)
    images = Images(ids, np.full(4, -1), [], splits, [""] * 4, np.ones((4, 2), int), metadata or {}, None)
    embeddings = Embeddings(ids[:3], np.zeros((3, 1), np.float32))
    return outliers.function(OutliersConfig(method=method), images, embeddings, work=Work(folder=folder))


@pytest.fixture
def listed(tmp_path):
    def method(text, name="exclude.csv", **fields):
        (tmp_path / name).write_text(text)
        return Given(kind="given", path=tmp_path / name, **fields)

    return method


def test_every_image_of_the_list_goes_a_held_out_one_may_stand_there_too(tmp_path, listed):
    for method in (listed("id\nb.png\nd.png\n"), listed("b.png\nd.png\n", "exclude.txt")):
        inliers = found(tmp_path, method)
        assert inliers.mask.tolist() == [True, False, True]
        assert inliers.facts()["by rule"] == "given 1"


def test_what_a_column_says_is_the_reason(tmp_path, listed):
    said = listed('id,why\na.png,\nb.png,"folded, torn"\nc.png,\n', column="why")
    assert found(tmp_path, said).reasons == ["", "given (folded; torn)", ""]
    own = Given(kind="given", column="quality")
    assert found(tmp_path, own, {"quality": ["bad", None, "", "bad"]}).mask.tolist() == [False, True, True]


def test_a_name_that_is_no_image_may_be_a_slip_of_the_pen_and_stops(tmp_path, listed):
    with pytest.raises(DataError, match=r"names 2 of 3 images that the dataset does not have: B.png, e.png") as caught:
        found(tmp_path, listed("id\nB.png\na.png\ne.png\n"))
    assert caught.value.field == "outliers.method"


def test_a_list_or_a_column_has_to_be_there():
    with pytest.raises(ValidationError, match="give path"):
        Given(kind="given")
