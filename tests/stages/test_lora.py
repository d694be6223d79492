"""LoRA as people use it: its variants, ranks by pattern, and the files that other programs read."""

import json
import shutil

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file
from small_data import TINY_BASE
from tiny_families import build_sdxl
from training_parts import Inputs

from mep.diffusion.lora_files import check_change
from mep.diffusion.pipelines import load_pipeline
from mep.errors import DataError
from mep.methods.bases.pretrained import Pretrained, outline_in
from mep.recipe import load_recipe
from mep.runner.plan import make_plan
from mep.runner.run import check
from mep.store import Store

LEARNT = {"steps": 2, "learning_rate": 0.05, "ema_decay": 0, "caption_dropout": 0.0}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


def drawn(pipeline, side=16):
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(1)
    caption = "Histology image of cancer tissue"
    size = {"height": side, "width": side, "num_inference_steps": 2, "output_type": "pt"}
    return pipeline(caption, generator=generator, guidance_scale=2.0, **size).images


VARIANTS = {
    "plain": {},
    "dora": {"variant": "dora"},
    "rank-stabilised": {"scaling": "rank_stabilised", "alpha": 3.0, "rank": 4},
    "ranks": {
        "ranks": {"mid_block.*": 4, "to_k": 3},
        "targets": ["to_q", "mid_block.*.to_k", "conv1"],
        "alphas": {"mid_block.*": 8},
    },
}


@pytest.mark.parametrize("method", VARIANTS.values(), ids=VARIANTS)
def test_diffusers_and_kohyas_files_draw_what_was_trained(inputs, tmp_path, method):
    training = {"text_encoder": "train"} if method in ({}, VARIANTS["ranks"]) else {}
    model, _ = inputs.train(tmp_path, method={"kind": "lora", "rank": 2} | method, **LEARNT | training)
    ours = drawn(load_pipeline(model.pipeline, "cpu"))
    plain = StableDiffusionPipeline.from_pretrained(model.pipeline, safety_checker=None)
    before = drawn(plain)
    assert not torch.allclose(ours, before, atol=1e-3)
    plain.load_lora_weights(model.folder / "lora")
    assert torch.allclose(drawn(plain), ours, atol=1e-5)
    plain.unload_lora_weights()
    kohya = model.folder / "kohya" / "lora.safetensors"
    assert kohya.exists() == (method.get("variant") != "dora")
    if kohya.exists():
        plain.load_lora_weights(kohya)
        assert torch.allclose(drawn(plain), ours, atol=1e-5)


def test_kohyas_file_of_sdxl_draws_what_was_trained(inputs, tmp_path):
    build_sdxl(tmp_path / "sdxl")
    base = inputs.build(Pretrained(kind="pretrained", path=tmp_path / "sdxl", resolution=16), "sdxl")
    model, _ = inputs.train(tmp_path / "trained", base=base, method={"kind": "lora", "rank": 2, "alpha": 3}, **LEARNT)
    plain = StableDiffusionXLPipeline.from_pretrained(model.pipeline, add_watermarker=False)
    before, ours = drawn(plain), drawn(load_pipeline(model.pipeline, "cpu"))
    assert not torch.allclose(ours, before, atol=1e-3)
    plain.load_lora_weights(model.folder / "kohya" / "lora.safetensors")
    assert torch.allclose(drawn(plain), ours, atol=1e-5)


TOLD_BEFORE_THE_RUN = {
    "no such layer": ({"targets": ["to_q", "to_z"]}, "no linear or convolution layer of the model is called 'to_z'"),
    "no such place": ({"targets": ["down_blocks.9.*"]}, "layer of the model is called 'down_blocks.9.*'"),
    "no rank for it": ({"ranks": {"to_out.0": 4}, "targets": ["to_q"]}, "no layer among the targets is called 'to_out"),
    "dora of a convolution": ({"variant": "dora", "targets": ["conv1"]}, "dora changes linear layers only"),
}


@pytest.mark.parametrize(("method", "message"), TOLD_BEFORE_THE_RUN.values(), ids=TOLD_BEFORE_THE_RUN)
def test_a_pattern_that_fits_no_layer_is_told_before_the_first_stage(tiny_recipe, tmp_path, method, message):
    store = Store(tmp_path / "runs")
    overrides = [f"training.method={json.dumps({'kind': 'lora'} | method)}"]
    with pytest.raises(DataError) as caught:
        check(make_plan(load_recipe(tiny_recipe, overrides), store))
    assert message in caught.value.message
    assert caught.value.hint
    check(make_plan(load_recipe(tiny_recipe, ["training.method={kind: lora, targets: ['*attn2.to_q']}"]), store))


def test_lora_weights_of_another_model_are_told_before_the_first_stage(inputs, tiny_recipe, tmp_path):
    model, _ = inputs.train(tmp_path / "sd", method={"kind": "lora", "rank": 2}, **LEARNT)
    files = [model.folder / "lora" / "pytorch_lora_weights.safetensors", model.folder / "kohya" / "lora.safetensors"]
    build_sdxl(tmp_path / "sdxl")
    family, core = outline_in(tmp_path / "sdxl")
    for file in files:
        check_change(file, *outline_in(model.pipeline))
        with pytest.raises(DataError, match="changes other layers than the model has") as caught:
            check_change(file, family, core)
        assert "StableDiffusionXLPipeline" in caught.value.hint
    other = load_file(files[0])
    save_file({f"text_{name}": value for name, value in other.items()}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="changes no layer of a unet"):
        check_change(tmp_path / "other.safetensors", *outline_in(model.pipeline))
    arm = f"arms.mep={{samples: {{lora: {files[0]}}}}}"
    same = f"training.base={json.dumps(TINY_BASE)}"
    check(make_plan(load_recipe(tiny_recipe, [arm, same]), Store(tmp_path / "runs")))
    plan = make_plan(load_recipe(tiny_recipe, [arm]), Store(tmp_path / "runs"))
    with pytest.raises(DataError, match=r"changes other layers .* of 16 channels and not 8"):
        check(plan)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "vae"), "is no whole StableDiffusionXLPipeline: it has no vae"),
        (lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}'), "a FluxPipeline"),
        (lambda folder: (folder / "unet" / "config.json").write_text("{}"), "does not say which side"),
    ],
)
def test_a_pipeline_that_cannot_be_used_is_told_before_the_first_stage(spoil, message, tiny_recipe, tmp_path):
    build_sdxl(tmp_path / "theirs")
    plan = make_plan(
        load_recipe(tiny_recipe, [f"arms.mep={{samples: {{pipeline: {tmp_path / 'theirs'}}}}}"]),
        Store(tmp_path / "runs"),
    )
    check(plan)
    spoil(tmp_path / "theirs")
    with pytest.raises(DataError, match=message) as caught:
        check(plan)
    assert caught.value.field.startswith("samples.")


def test_what_a_family_does_not_have_is_told_before_the_first_stage(tiny_recipe, tmp_path):
    build_sdxl(tmp_path / "sdxl")
    base = f"training.base={{kind: pretrained, path: {tmp_path / 'sdxl'}, resolution: 16}}"
    with pytest.raises(DataError, match="the text encoders of a StableDiffusionXLPipeline stay as they are"):
        check(make_plan(load_recipe(tiny_recipe, [base, "training.text_encoder=train"]), Store(tmp_path / "runs")))
