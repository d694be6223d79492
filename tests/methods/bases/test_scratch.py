"""A model built from sizes is a genuine StableDiffusionPipeline."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from pydantic import ValidationError
from small_data import TINY_BASE

from mep.diffusion.families.stable_diffusion import StableDiffusion
from mep.diffusion.pipelines import load_pipeline
from mep.errors import DataError
from mep.machine.files import write_json
from mep.machine.work import Work
from mep.methods.autoencoders.kl import normalise_latents
from mep.methods.bases._tokenizer import build_tokenizer
from mep.methods.bases.pretrained import Pretrained
from mep.methods.bases.scratch import Scratch
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.stages.dataset.stage import dataset


@pytest.fixture
def images(imagefolder, tmp_path):
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=imagefolder), label="label")
    return dataset.function(config, work=Work(folder=tmp_path / "dataset")).train


def test_the_folder_loads_as_a_pipeline_and_draws(images, tmp_path):
    Scratch.model_validate(TINY_BASE).build(images, Work(folder=tmp_path / "base"))
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "base" / "out" / "pipeline")
    drawn = pipeline("Histology image", num_inference_steps=2, height=16, width=16, output_type="np").images
    assert drawn.shape == (1, 16, 16, 3)


def test_the_same_seed_builds_the_same_weights_and_another_seed_others(images, tmp_path):
    def weights(name, seed):
        work = Work(folder=tmp_path / name, seed=seed)
        Scratch.model_validate(TINY_BASE).build(images, work)
        parts = ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model")
        return [(work.out / "pipeline" / f"{part}.safetensors").read_bytes() for part in parts]

    first, second, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert first == second
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))


def test_a_local_pipeline_folder_is_a_base(images, tmp_path):
    Scratch.model_validate(TINY_BASE).build(images, Work(folder=tmp_path / "made"))
    source = tmp_path / "made" / "out" / "pipeline"
    Pretrained(kind="pretrained", path=source, resolution=16).build(images, Work(folder=tmp_path / "taken"))
    for part in ("unet", "vae"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        assert (tmp_path / "taken" / "out" / "pipeline" / name).read_bytes() == (source / name).read_bytes()


def test_a_folder_that_is_no_pipeline_is_told_what_it_lacks(images, tmp_path):
    (tmp_path / "other" / "unet").mkdir(parents=True)
    with pytest.raises(DataError, match=r"holds no model: it has no model_index\.json"):
        Pretrained(kind="pretrained", path=tmp_path / "other").build(images, Work(folder=tmp_path / "x"))
    index = {"_class_name": "StableDiffusionXLPipeline"}
    write_json(tmp_path / "other" / "model_index.json", index)
    lacking = "no whole StableDiffusionXLPipeline: it has no vae, text_encoder, text_encoder_2, tokenizer, tokenizer_2"
    with pytest.raises(DataError, match=lacking):
        Pretrained(kind="pretrained", path=tmp_path / "other").build(images, Work(folder=tmp_path / "x"))


def test_normalised_latents_have_mean_0_and_variance_1_and_decode_to_the_same_image():
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        latent_channels=3,
        norm_num_groups=8,
    ).eval()
    images = torch.rand(20, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        before = vae.encode(images).latent_dist
        rebuilt, spread = vae.decode(before.mean).sample, before.std / before.mean.std((0, 2, 3), keepdim=True)
        normalise_latents(vae, images)
        after = vae.encode(images).latent_dist
        assert torch.allclose(after.mean.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
        assert torch.allclose(after.mean.std((0, 2, 3)), torch.ones(3), atol=1e-4)
        assert torch.allclose(after.std, spread, rtol=1e-3)
        assert torch.allclose(vae.decode(after.mean).sample, rebuilt, atol=1e-4)


def test_captions_that_differ_in_a_word_get_codes_that_differ(images, tmp_path):
    # a UNet ignored captions whose codes shared 96 % of their variance
    base = Scratch.model_validate(TINY_BASE | {"text": {"tokens": 16}})
    base.build(images, Work(folder=tmp_path))
    pipeline = load_pipeline(tmp_path / "out" / "pipeline", "cpu")
    words = ("stained", "unstained")
    codes = StableDiffusion().encode(pipeline, [f"Histology image of {word} tissue" for word in words], 16)["states"]
    after_the_word = codes[:, 4:]
    assert float((after_the_word[0] - after_the_word[1]).norm() / after_the_word[0].norm()) > 0.4


def test_a_pooled_caption_reaches_every_block_and_diffusers_draws_with_it(images, tmp_path):
    unet = TINY_BASE["unet"] | {"pooled_caption": True}
    Scratch.model_validate(TINY_BASE | {"unet": unet}).build(images, Work(folder=tmp_path))
    pipeline = load_pipeline(tmp_path / "out" / "pipeline", "cpu")
    captions = ["Histology image of stained tissue", "Histology image of unstained tissue"]
    codes = StableDiffusion().encode(pipeline, captions, 16)["states"]
    # the first block has no attention: only the timestep can tell it of the caption
    latents, first_block = torch.zeros(2, 2, 8, 8), []
    pipeline.unet.down_blocks[0].register_forward_hook(lambda module, given, made: first_block.append(made[0]))
    with torch.inference_mode():
        pipeline.unet(latents, 500, codes)
    assert not torch.equal(first_block[0][0], first_block[0][1])
    drawn = pipeline("Histology image", num_inference_steps=2, height=16, width=16, output_type="np").images
    assert drawn.shape == (1, 16, 16, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 18}, "cannot be halved"),
        ({"unet": {"channels": [8, 8], "attention": [True]}}, "2 levels have channels, 1 have attention"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        Scratch.model_validate(TINY_BASE | change)


def test_the_tokenizer_knows_the_words_of_the_templates_and_spells_the_rest():
    tokenizer = build_tokenizer(32)
    words = tokenizer.tokenize("Histology image of unstained tissue, morphology type twenty-seven")
    assert len(words) == 12
    assert tokenizer.decode(tokenizer("glioblastoma № 4").input_ids, skip_special_tokens=True) == "glioblastoma № 4"
    short, long = tokenizer("type one").input_ids, tokenizer("type two").input_ids
    assert short != long


def test_a_caption_longer_than_the_encoder_is_cut_not_refused():
    tokens = build_tokenizer(8)("x " * 50, truncation=True, max_length=8, padding="max_length").input_ids
    assert np.array(tokens).shape == (8,)
