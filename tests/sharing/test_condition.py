"""A model that is told more than captions is published with what it takes to draw, and no vector of one image."""

import numpy as np
import pytest
from training_parts import Inputs

from mep.artifacts import BaseModel, Model, Prompt
from mep.diffusion.conditioner import Conditioner
from mep.diffusion.cues import Cues, Vectors
from mep.sharing.condition import can_be_drawn, patients_of, write_condition
from mep.sharing.model_card import drawing_code


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


def give_condition(folder, cues, kind):
    conditioner = Conditioner(cues.width, of_classes=cues.vectors is None, tokens=2, width=16)
    conditioner.save(cues, kind, folder / "condition")
    return Model(folder)


def test_means_of_enough_patients_leave_and_no_vector_of_an_image(tmp_path):
    labels, values = ["a"] * 6 + ["b"] * 2, np.arange(16, dtype=np.float32).reshape(8, 2)
    vectors = Vectors.scaled_by(values, np.arange(8), np.arange(8))
    model = give_condition(tmp_path / "model", Cues(labels, np.zeros(8, int), np.ones(8), vectors), "embedding")
    write_condition(model, {("a", 0): 6, ("b", 0): 2}, tmp_path / "published")
    left = Cues.load(tmp_path / "published" / "condition")
    assert list(left.labels) == ["a"]
    assert left.vectors.values.tolist() == [[5, 6]]  # of (0, 1), (2, 3) ... (10, 11)
    assert can_be_drawn(Prompt("", "", "a", None, 1), {("a", 0): 6, ("b", 0): 2})
    assert not can_be_drawn(Prompt("", "", "b", 0, 1), {("a", 0): 6, ("b", 0): 2})
    assert left.vectors.scale.tolist() == vectors.scale.tolist()


def test_patients_are_counted_by_label_and_cluster(inputs):
    counts = patients_of(inputs.images, inputs.training_set)
    assert sum(counts.values()) == 16  # every image is its own patient where no column names them
    assert patients_of(None, inputs.training_set) == {}


def test_the_code_of_its_card_draws_an_image(inputs, tmp_path, monkeypatch):
    model = give_condition(tmp_path / "model", Cues(["cancer"], np.zeros(1, int), np.ones(1)), "class")
    (model.folder / "pipeline").symlink_to(inputs.base.pipeline)
    (model.folder / "training.json").write_text('{"resolution": 16}')
    published = tmp_path / "there"
    published.symlink_to(inputs.base.pipeline)
    prompt = Prompt("cancer_c00", 'a "quoted" caption', "cancer", 0, 3)
    code = drawing_code(model, BaseModel(inputs.base.folder), str(published), prompt, {"num_inference_steps": 2})
    assert 'label="cancer", cluster=0)' in code
    names = {}
    code = code.replace(f'prompt_arguments(pipeline, "{published}"', f'prompt_arguments(pipeline, "{model.folder}"')
    exec(code, names)
    assert names["image"].size == (16, 16)
