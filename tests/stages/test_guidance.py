"""Guidance is a number, or the one whose images lie nearest to the validation images."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from machines import machine, stopping_after
from small_data import QUICK_FEATURES, tiny_settings, write_recipe
from training_parts import Inputs

from mep.artifacts import Guidance, Members
from mep.config import Config
from mep.errors import DataError, Interrupted, RecipeError
from mep.machine.work import Work
from mep.recipe import load_recipe
from mep.sections.generation import GuidanceChoice, GuidanceConfig
from mep.stages.guidance import guidance, shares

SAMPLER = {"kind": "dpmsolver++", "steps": 2}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    found = Inputs(tmp_path_factory.mktemp("inputs"))
    found.model, _ = found.train(tmp_path_factory.mktemp("model"))
    return found


def choose(inputs, folder, *, work=None, scales=(1, 2.5, 20), **settings):
    choice = GuidanceChoice(choose=scales, images=8, extractor=QUICK_FEATURES, **settings)
    config = GuidanceConfig.model_validate({"sampler": SAMPLER, "guidance": choice})
    work = work or Work(folder=folder, seed=5, machine=machine(batch_size=4))
    return guidance.function(config, inputs.images, inputs.training_set, inputs.prompts, inputs.model, work=work)


def test_a_number_is_taken_as_it_is(inputs, tmp_path):
    config = GuidanceConfig.model_validate({"sampler": SAMPLER, "guidance": 4})
    found = guidance.function(
        config, inputs.images, inputs.training_set, inputs.prompts, inputs.model, work=Work(folder=tmp_path)
    )
    assert (found.scale, found.curve) == (4.0, [])
    assert found.facts() == {"scale": "4"}


@pytest.mark.parametrize("by", ["kid", "frechet"])
def test_the_lowest_point_of_the_stored_curve_is_chosen(inputs, tmp_path, by):
    found = choose(inputs, tmp_path, by=by)
    assert [row["guidance"] for row in found.curve] == [1, 2.5, 20]
    assert found.scale == min(found.curve, key=lambda row: row["value"])["guidance"]
    assert {(row["n_real"], row["n_fake"] + row["refused"]) for row in found.curve} == {(6, 8)}
    assert found.facts() == {"scale": f"{found.scale:g}, the best of 3 by {by}"}
    found.save(tmp_path)
    again = Guidance.load(tmp_path, Config())
    assert (again.scale, again.curve) == (found.scale, found.curve)


def test_a_scale_has_the_same_point_whatever_else_is_tried_and_however_often_it_was_stopped(inputs, tmp_path):
    calm = choose(inputs, tmp_path / "calm")
    small = machine(batch_size=4)
    stopping = Work(folder=tmp_path / "stormy", seed=5, machine=small, stop_signal=stopping_after(5))
    with pytest.raises(Interrupted):
        choose(inputs, tmp_path / "stormy", work=stopping)
    assert choose(inputs, tmp_path / "stormy").curve == calm.curve
    assert choose(inputs, tmp_path / "two", scales=(20, 1)).curve == [calm.curve[0], calm.curve[2]]


def test_prompts_are_as_frequent_as_among_the_validation_images(inputs):
    ids = inputs.training_set.validation.ids
    n = len(ids)
    by_prompt = np.bincount([inputs.prompts.of_image[name] for name in ids], minlength=2)
    assert shares(inputs.prompts, ids, 10 * n) == (10 * by_prompt).tolist()
    assert sum(shares(inputs.prompts, ids[:3], 8)) == 8


def test_too_few_validation_images_are_told(inputs, tmp_path):
    few = copy.copy(inputs)
    watched = inputs.training_set.validation
    few.training_set = replace(
        inputs.training_set, validation=Members(watched.ids[:2], watched.labels[:2], watched.clusters[:2])
    )
    with pytest.raises(DataError, match="on 2 validation images") as caught:
        choose(few, tmp_path)
    assert caught.value.field == "generation.guidance"


def test_a_recipe_that_chooses_without_validation_images_is_refused(tmp_path, imagefolder):
    settings = tiny_settings(imagefolder)
    settings["generation"]["guidance"] = {"choose": [1, 3]}
    path = write_recipe(tmp_path / "tiny.yaml", settings)
    with pytest.raises(RecipeError, match="the recipe sets none aside") as caught:
        load_recipe(path)
    assert caught.value.mistakes[0].field == "generation.guidance"
    assert "dataset.validation: {fraction: 0.1}" in caught.value.mistakes[0].hint
    settings["dataset"]["validation"] = {"fraction": 0.2}
    write_recipe(path, settings)
    assert load_recipe(path).arms["mep"].generation.guidance.choose == (1, 3)
