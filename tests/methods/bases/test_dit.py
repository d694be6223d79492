"""A diffusion transformer from scratch: the same from the same seed, and its sizes are checked with the recipe."""

import pytest
from pydantic import ValidationError
from tiny_families import TINY_DIT
from training_parts import Inputs

from mep.machine.work import Work
from mep.methods.bases.dit import Dit
from mep.sections.training import TrainingConfig


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    inputs = Inputs(tmp_path)

    def weights(name, seed):
        work = Work(folder=tmp_path / name, seed=seed)
        Dit.model_validate(TINY_DIT).build(inputs.images, work)
        return [path.read_bytes() for path in sorted((work.out / "pipeline").rglob("*.safetensors"))]

    assert weights("a", 1) == weights("b", 1)
    assert all(one != two for one, two in zip(weights("c", 1), weights("d", 2), strict=True))


BAD = {
    "patches": ({"resolution": 18}, "18 pixels cannot be divided into patches"),
    "heads": ({"transformer": {"width": 20, "head_channels": 8}}, "20 channels cannot be divided into heads of 8"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_sizes_that_do_not_fit_are_told(changes, message):
    with pytest.raises(ValidationError, match=message):
        Dit.model_validate(TINY_DIT | changes)


@pytest.mark.parametrize("changes", [{"method": "lora"}, {"prediction": "epsilon"}, {"text_encoder": "train"}])
def test_what_a_transformer_from_scratch_has_no_choice_of_is_told_with_the_recipe(changes):
    assert TrainingConfig.model_validate({"base": TINY_DIT, "steps": 1}).timesteps == "logit_normal"
    with pytest.raises(ValidationError, match=f"a base of kind dit is trained with {next(iter(changes))}"):
        TrainingConfig.model_validate({"base": TINY_DIT, "steps": 1} | changes)
