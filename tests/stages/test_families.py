"""Every family goes the whole way: base, latents, captions, training, exact resume, its own pipeline class, samples."""

import diffusers
import numpy as np
import pytest
import torch
from generation_parts import draw, images, model  # noqa: F401  (fixtures)
from machines import stopping_after
from tiny_families import TINY_DIT, build_sd3, build_sdxl
from training_parts import Inputs, files_of

from mep.diffusion.conditioner import prompt_arguments
from mep.diffusion.families import families, family_of
from mep.diffusion.pipelines import load_pipeline
from mep.errors import DataError, Interrupted
from mep.methods.bases.dit import Dit
from mep.methods.bases.pretrained import Pretrained
from mep.methods.bases.scratch import Scratch
from mep.methods.samplers.euler import Euler
from mep.methods.samplers.unipc import UniPc

MADE = {
    "StableDiffusionPipeline": lambda folder: Scratch.model_validate(tiny_unet()),
    "StableDiffusionXLPipeline": lambda folder: build_sdxl(folder) or pretrained(folder),
    "StableDiffusion3Pipeline": lambda folder: build_sd3(folder) or pretrained(folder),
    "StableDiffusion3Pipeline without T5": lambda folder: build_sd3(folder, with_t5=False) or pretrained(folder),
    "PixArtSigmaPipeline": lambda folder: Dit.model_validate(TINY_DIT),
}
CAPTIONS = ["Histology image of cancer tissue", ""]


def tiny_unet():
    from small_data import TINY_BASE

    return TINY_BASE


def pretrained(folder):
    return Pretrained(kind="pretrained", path=folder, resolution=16)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module", params=MADE)
def base(request, inputs, tmp_path_factory):
    config = MADE[request.param](tmp_path_factory.mktemp("hub") / "model")
    return inputs.build(config, f"base {request.param}")


def test_each_family_has_a_tiny_model_here():
    assert {name.split()[0] for name in MADE} == set(families())


def test_a_training_that_is_stopped_ends_with_the_same_bytes_which_its_own_pipeline_draws_with(inputs, base, tmp_path):
    settings = {"watch": {"looks": 3, "steps": 2, "prompts": 1}, "caption_dropout": 0.5}
    if base.origin["kind"] == "dit":
        settings["timesteps"] = "logit_normal"
    calm, losses = inputs.train(tmp_path / "calm", base=base, **settings)
    with pytest.raises(Interrupted):
        inputs.train(tmp_path / "stormy", base=base, work={"stop_signal": stopping_after(3)}, **settings)
    stormy, _ = inputs.train(tmp_path / "stormy", base=base, **settings)
    assert files_of(calm) == files_of(stormy)
    assert np.isfinite(losses).all()
    family = family_of(calm.pipeline)
    trained, before = (load_pipeline(one.pipeline, "cpu") for one in (calm, base))
    weights = [getattr(one, family.core).state_dict() for one in (trained, before)]
    assert any(not torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    pipeline = getattr(diffusers, family.pipeline).from_pretrained(
        calm.pipeline, **family.left_out, **family.absent(calm.pipeline)
    )
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(CAPTIONS[0], height=16, width=16, num_inference_steps=2, output_type="np", **family.call).images[0]
    assert image.shape == (16, 16, 3)
    assert f"from diffusers import {family.pipeline}" in (calm.folder / "README.md").read_text()


def test_captions_say_what_the_pipeline_itself_makes_of_them(base):
    family, pipeline = family_of(base.pipeline), load_pipeline(base.pipeline, "cpu")
    given = {}
    real = family.predict
    pipeline.set_progress_bar_config(disable=True)
    core = getattr(pipeline, family.core)
    watch = core.register_forward_pre_hook(lambda _, *call: given.setdefault("seen", call), with_kwargs=True)
    generator = torch.Generator().manual_seed(0)
    size = {"height": 16, "width": 16, "num_inference_steps": 1, "guidance_scale": 2.0, "output_type": "latent"}
    theirs = pipeline(CAPTIONS[0], generator=generator, **size, **family.call).images
    with torch.inference_mode():
        watch.remove()
        said, empty = (family.encode(pipeline, [text], 16) for text in CAPTIONS)
        ours = pipeline(
            **family.arguments(core, said, empty), generator=generator.manual_seed(0), **size, **family.call
        ).images
        assert torch.allclose(ours, theirs, atol=1e-4)
        # and what is trained is what is drawn with
        args, named = given["seen"]
        noisy = args[0] if args else named["hidden_states"]
        times = args[1] if len(args) > 1 else named["timestep"]
        both = {name: torch.cat([empty[name], values]) for name, values in said.items()}
        expected = core(*args, **(named | {"return_dict": True})).sample
        predicted = real(core, noisy, times.expand(len(noisy)), both)
        assert torch.allclose(predicted, expected[:, : noisy.shape[1]], atol=1e-5)


@pytest.mark.parametrize("sampler", [Euler, UniPc])
def test_samples_are_drawn_once_whatever_the_batch(draw, inputs, base, tmp_path, sampler):
    trained, _ = inputs.train(tmp_path / "trained", base=base, steps=1)
    chosen = sampler(kind=sampler.__name__.lower(), steps=2)
    one, four = (draw(tmp_path / str(n), batch_size=n, model=trained, sampler=chosen) for n in (1, 4))
    pixels = [[samples.read(row).astype(int) for row in samples.rows] for samples in (one, four)]
    assert len(pixels[0]) == 6
    assert all(np.abs(a - b).max() <= 1 for a, b in zip(*pixels, strict=True))


def test_lora_is_loaded_by_the_pipeline_of_the_family_or_refused(inputs, base, tmp_path):
    family, settings = family_of(base.pipeline), {"method": {"kind": "lora", "rank": 2}, "learning_rate": 0.05}
    if not family.adapts:
        with pytest.raises(DataError, match="loads no LoRA weights"):
            inputs.train(tmp_path, base=base, **settings)
        return
    trained, _ = inputs.train(tmp_path, base=base, ema_decay=0, **settings)
    ours = getattr(load_pipeline(trained.pipeline, "cpu"), family.core).state_dict()
    plain = getattr(load_pipeline(base.pipeline, "cpu"), family.core).state_dict()
    changed = [name for name, value in ours.items() if not torch.equal(value, plain[name])]
    assert changed
    assert all(".attn" in name for name in changed)


def test_what_flow_matching_does_not_have_is_refused(inputs, tmp_path):
    base = inputs.build(Dit.model_validate(TINY_DIT), "flow")
    for settings in ({"prediction": "epsilon"}, {"snr_gamma": 5.0}, {"zero_terminal_snr": True}):
        (field,) = settings
        with pytest.raises(DataError, match=f"flow matching, which has no {field}"):
            inputs.train(tmp_path / field, base=base, **settings)
    with pytest.raises(DataError, match="text encoders of a PixArtSigmaPipeline stay"):
        inputs.train(tmp_path / "text", base=base, text_encoder="train")


def test_every_family_is_told_a_vector_beside_its_captions(inputs, draw, base, tmp_path):
    settings = {"conditioning": {"kind": "embedding", "tokens": 2}, "learning_rate": 0.05, "watch": {"looks": 1}}
    trained, _ = inputs.train(tmp_path / "trained", base=base, steps=2, ema_decay=0, **settings)
    pipeline = load_pipeline(trained.pipeline, "cpu")
    asked = [{"label": "cancer", "cluster": 0}, {"label": "healthy", "cluster": 1}]
    told = [prompt_arguments(pipeline, trained.folder / "condition", CAPTIONS[0], **one) for one in asked]
    size = {"height": 16, "width": 16, "num_inference_steps": 2, "output_type": "latent"}
    latents = [pipeline(**one, generator=torch.Generator().manual_seed(0), **size).images for one in told]
    assert not torch.equal(*latents)
    samples = draw(tmp_path / "drawn", n=1, model=trained, prompts=inputs.prompts)
    assert len(samples) == 2
