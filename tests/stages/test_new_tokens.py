"""Textual inversion: new tokens of captions are trained, saved and loaded, with LoRA or alone."""

from copy import copy
from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from machines import stopping_after
from safetensors.torch import load_file
from tiny_families import build_sdxl
from training_parts import Inputs, files_of

from mep.diffusion.encoding import check_lengths
from mep.diffusion.pipelines import load_pipeline
from mep.errors import DataError, Interrupted, RecipeError
from mep.recipe import load_recipe
from mep.runner.plan import make_plan
from mep.runner.run import check
from mep.stages.prompts.given import given_prompts
from mep.stages.prompts.stage import check as check_prompts
from mep.store import Store

ALONE = {"kind": "textual_inversion", "new_tokens": {"begin": "tissue"}}
WITH_LORA = {"kind": "lora", "rank": 2, "new_tokens": {"begin": "tissue"}}
LEARNT = {"steps": 3, "learning_rate": 0.05, "caption_dropout": 0.5}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Inputs whose captions name <m-0> and <m-1>."""
    changed = copy(Inputs(tmp_path_factory.mktemp("inputs")))
    prompts = changed.prompts.prompts
    named = [replace(prompt, text=f"{prompt.text} <m-{row}>") for row, prompt in enumerate(prompts)]
    changed.prompts = replace(changed.prompts, prompts=named)
    return changed


def states(pipeline, caption):
    with torch.inference_mode():
        return pipeline.encode_prompt(caption, "cpu", 1, False)[0]


@pytest.mark.parametrize("method", [ALONE, WITH_LORA], ids=["alone", "with LoRA"])
def test_new_tokens_are_trained_alone_and_load_as_textual_inversions(inputs, tmp_path, method, caplog):
    model, _ = inputs.train(tmp_path, method=method, ema_decay=0, **LEARNT)
    files = sorted((model.folder / "tokens").iterdir())
    assert [file.name for file in files] == ["m-0.safetensors", "m-1.safetensors"]
    rows = [load_file(file)[f"<m-{number}>"] for number, file in enumerate(files)]
    plain = StableDiffusionPipeline.from_pretrained(model.pipeline, safety_checker=None)
    old = plain.text_encoder.get_input_embeddings().weight.detach().clone()
    (begin,) = plain.tokenizer("tissue", add_special_tokens=False).input_ids
    assert all(0 < float((row - old[begin]).abs().max()) < 0.5 for row in rows)  # three steps of about 0.05
    assert not torch.equal(*rows)
    before = {name: value.clone() for name, value in plain.text_encoder.state_dict().items()}
    base = load_pipeline(inputs.base.pipeline, "cpu").text_encoder.state_dict()
    assert all(torch.equal(value, base[name]) for name, value in before.items())
    plain.load_textual_inversion([str(file) for file in files])
    caplog.clear()
    ours = load_pipeline(model.pipeline, "cpu")
    assert not caplog.records
    caption = inputs.prompts.prompts[1].text
    assert ours.tokenizer("<m-1>", add_special_tokens=False).input_ids == [len(old) + 1]
    assert torch.equal(states(ours, caption), states(plain, caption))
    assert (model.folder / "lora").exists() == (method is WITH_LORA)
    assert "load_textual_inversion" in (model.folder / "README.md").read_text()


def test_a_new_token_is_one_token_of_a_caption_that_just_fits(inputs, tmp_path):
    full = copy(inputs)
    first, second = inputs.prompts.prompts
    texts = [f"{'tissue ' * 17}<morph-{row}>" for row in (0, 1)]  # 20 tokens with begin and end; letter by letter more
    full.prompts = replace(inputs.prompts, prompts=[replace(first, text=texts[0]), replace(second, text=texts[1])])
    check_prompts(full.prompts.prompts, inputs.base)
    model, _ = full.train(tmp_path, method=ALONE, **LEARNT)
    assert len([*(model.folder / "tokens").iterdir()]) == 2
    with pytest.raises(DataError, match=r"has 2\d tokens, the text encoder reads 20"):
        full.train(tmp_path / "not learned")
    longer = [replace(first, text=f"tissue {texts[0]}")]
    with pytest.raises(DataError, match="has 21 tokens, the text encoder takes 20"):
        check_prompts(longer, inputs.base)


def test_a_given_caption_that_just_fits_is_kept_and_one_that_is_cut_fits_letter_by_letter(inputs):
    images = inputs.images.select(inputs.training_set.ids[:1])
    (kept,) = given_prompts([f"<a-1> {'tissue ' * 16}<a-2>"], images, 1, inputs.base, "refuse").prompts
    assert kept.text.endswith("<a-2>")
    (cut,) = given_prompts([f"<a-1> {'tissue ' * 16}<a-2>"], images, 1, inputs.base, "cut").prompts
    check_lengths(inputs.base, [cut.text])  # whether or not the training learns them


def test_what_is_looked_at_and_trained_is_what_is_drawn_with(inputs, tmp_path):
    from mep.diffusion.encoding import caption_tokens
    from mep.diffusion.new_tokens import grow, save_tokens

    pipeline = load_pipeline(inputs.base.pipeline, "cpu")
    encoder, caption = pipeline.text_encoder, inputs.prompts.prompts[0].text
    grow(encoder, pipeline.tokenizer, ["<m-0>", "<m-1>"], "tissue")
    encoder.get_input_embeddings().new.data += torch.tensor([[0.3], [-0.2]])
    tokens = caption_tokens(inputs.base, [caption], "cpu", ["<m-0>", "<m-1>"]).table["tokens"]
    with torch.inference_mode():
        trained = encoder(tokens)[0]
    save_tokens(encoder, tmp_path / "tokens")
    (tmp_path / "pipeline").symlink_to(inputs.base.pipeline)
    assert torch.allclose(states(load_pipeline(tmp_path / "pipeline", "cpu"), caption), trained, atol=1e-6)


def test_a_training_of_tokens_that_is_stopped_ends_with_the_same_bytes(inputs, tmp_path):
    settings = {"method": WITH_LORA, "watch": {"looks": 2, "steps": 2, "prompts": 1}, "weights": "bf16"}
    settings |= {"precision": "bf16"} | LEARNT
    calm, _ = inputs.train(tmp_path / "calm", **settings)
    with pytest.raises(Interrupted):
        inputs.train(tmp_path / "stormy", work={"stop_signal": stopping_after(1)}, **settings)
    stormy, _ = inputs.train(tmp_path / "stormy", **settings)
    assert files_of(calm) == files_of(stormy)


def test_the_model_card_loads_tokens_that_only_variants_of_captions_name(tmp_path):
    plain = Inputs(tmp_path)
    prompts = [replace(prompt, variants=(f"{prompt.text} <m>",)) for prompt in plain.prompts.prompts]
    plain.prompts = replace(plain.prompts, prompts=prompts)
    model, _ = plain.train(tmp_path / "trained", method=ALONE, steps=1)
    assert [file.name for file in (model.folder / "tokens").iterdir()] == ["m.safetensors"]
    assert "load_textual_inversion" in (model.folder / "README.md").read_text()


def test_an_arm_without_new_tokens_trains_its_lora_alone(tmp_path):
    plain = Inputs(tmp_path)
    model, _ = plain.train(tmp_path / "a", method=WITH_LORA, **LEARNT)
    assert not (model.folder / "tokens").exists()
    with pytest.raises(DataError, match="the captions name no new token, and nothing else is trained"):
        plain.train(tmp_path / "b", method=ALONE, **LEARNT)


def test_what_cannot_be_learned_is_told_before_the_first_stage(tiny_recipe, tmp_path):
    with pytest.raises(RecipeError, match="textual inversion trains new tokens, and no template names one"):
        load_recipe(tiny_recipe, ["training.method=textual_inversion"])
    build_sdxl(tmp_path / "sdxl")
    changes = [f"training.base={{kind: pretrained, path: {tmp_path / 'sdxl'}, resolution: 16}}"]
    changes += ["training.method={kind: lora, new_tokens: {begin: tissue}}"]
    with pytest.raises(DataError, match="the text encoders of a StableDiffusionXLPipeline learn no new tokens"):
        check(make_plan(load_recipe(tiny_recipe, changes), Store(tmp_path / "runs")))
