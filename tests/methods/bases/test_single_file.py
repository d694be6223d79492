"""A model in one file becomes the pipeline that it came from; what it is not is told."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import build_sdxl, write_single_file
from training_parts import Inputs

from mep.diffusion.pipelines import load_pipeline
from mep.errors import DataError
from mep.methods.bases.single_file import SingleFile


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Inputs, and their tiny Stable Diffusion in one file."""
    inputs = Inputs(tmp_path_factory.mktemp("inputs"))
    file = inputs.folder / "model.safetensors"
    write_single_file(load_pipeline(inputs.base.pipeline, "cpu"), file)
    return inputs, file


def single(file, like):
    return SingleFile.model_validate({"kind": "single_file", "file": file, "like": {"path": like}, "resolution": 16})


def test_a_single_file_gives_the_pipeline_that_it_came_from_and_is_trained(scene, tmp_path):
    inputs, file = scene
    base = inputs.build(single(file, inputs.base.pipeline), "single")
    assert base.origin == {"kind": "single_file", "file": "model.safetensors"}
    for part in ("unet", "vae", "text_encoder"):
        one, two = (getattr(load_pipeline(each.pipeline, "cpu"), part).state_dict() for each in (base, inputs.base))
        assert one.keys() == two.keys()
        assert all(torch.equal(value, two[name]) for name, value in one.items())
    _, losses = inputs.train(tmp_path / "single", base=base)
    assert losses.tolist() == inputs.train(tmp_path / "base")[1].tolist()


def test_a_file_of_another_family_or_of_other_sizes_is_told(scene, tmp_path):
    inputs, file = scene
    build_sdxl(tmp_path / "sdxl")
    with pytest.raises(DataError, match="holds a model of type v1, which is no StableDiffusionXLPipeline"):
        inputs.build(single(file, tmp_path / "sdxl"), "xl")
    tensors = load_file(file)
    smaller = {name: value for name, value in tensors.items() if "middle_block" not in name}
    save_file(smaller, tmp_path / "smaller.safetensors")
    with pytest.raises(DataError, match=r"with the sizes of .*: it lacks weights of the model"):
        inputs.build(single(tmp_path / "smaller.safetensors", inputs.base.pipeline), "smaller")


def test_a_pickle_is_not_read(scene, tmp_path):
    inputs, _ = scene
    (tmp_path / "model.ckpt").write_bytes(b"")
    with pytest.raises(DataError, match="a pickle can run code"):
        inputs.build(single(tmp_path / "model.ckpt", inputs.base.pipeline), "pickle")


def test_a_file_of_another_family_is_told_before_the_first_stage(scene, tmp_path):
    inputs, file = scene
    single(file, inputs.base.pipeline).require()
    build_sdxl(tmp_path / "sdxl")
    with pytest.raises(DataError, match="holds a model of type v1, which is no StableDiffusionXLPipeline"):
        single(file, tmp_path / "sdxl").require()


def test_a_file_that_was_copied_in_part_is_told_before_the_first_stage(scene, tmp_path):
    inputs, file = scene
    (tmp_path / "part.safetensors").write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(DataError, match="is cut short") as caught:
        single(tmp_path / "part.safetensors", inputs.base.pipeline).require()
    assert caught.value.field == "training.base.file"
