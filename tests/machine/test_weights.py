"""Weights that are not whole are told as such, from their header alone."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from mep.errors import DataError
from mep.machine.weights import check_folder_whole, check_whole


@pytest.fixture
def weights(tmp_path):
    save_file({"a": np.zeros(1000, np.float32), "b": np.ones(10, np.float32)}, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_whole_file_passes_and_an_empty_one_is_whole_too(weights):
    check_whole(weights, "x")
    save_file({}, weights)
    check_whole(weights, "x")


@pytest.mark.parametrize(("left", "wanted"), [(-1, " of "), (100, "header alone"), (4, "header alone"), (0, "")])
def test_a_file_that_is_cut_short_is_told_with_its_sizes(weights, left, wanted):
    os.truncate(weights, weights.stat().st_size + left if left < 0 else left)
    with pytest.raises(DataError, match=rf"model.safetensors is (cut short|no safetensors).*{wanted}") as caught:
        check_whole(weights, "training.base")
    assert (caught.value.hint, caught.value.field) == ("fetch the model again, or copy it whole", "training.base")


@pytest.mark.parametrize("content", [b"\x02" + bytes(7) + b"[]", b"\xff" * 100, b"\x04" + bytes(7) + b"\xff" * 50])
def test_what_is_no_safetensors_file_is_told(weights, content):
    weights.write_bytes(content)
    with pytest.raises(DataError, match=r"no safetensors file|cut short"):
        check_whole(weights, "x")


def test_a_part_that_an_index_names_has_to_be_there(weights):
    index = weights.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "c": "model-2.safetensors"}}))
    with pytest.raises(DataError, match=r"lacks model-2.safetensors, which model.safetensors.index.json names"):
        check_folder_whole(weights.parent, "x")
