"""Principal components of patches as an autoencoder."""

import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from pydantic import ValidationError
from small_data import TINY_BASE, draw, in_memory

from mep.diffusion.pipelines import load_part, to_tensor
from mep.machine.work import Work
from mep.methods.autoencoders.pca import Pca
from mep.methods.bases.scratch import Scratch


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [draw(rng, brown, size=16) for brown in (False, True) * 8]


def build(pictures, folder, **fields):
    vae, log = Pca(kind="pca", **fields).build(in_memory(pictures), 16, Work(folder=folder))
    assert log is None
    return vae.eval()


@torch.inference_mode()
def rebuilt(vae, pixels):
    return vae.decode(vae.encode(pixels).latent_dist.mean).sample


def test_with_every_component_it_gives_back_the_very_image(pictures, tmp_path):
    pixels = to_tensor(np.stack(pictures))
    vae = build(pictures, tmp_path, patch_px=2, latent_channels=12)
    assert torch.allclose(rebuilt(vae, pixels), pixels, atol=1e-4)


def test_with_few_components_it_loses_what_principal_components_lose(pictures, tmp_path):
    pixels = to_tensor(np.stack(pictures))
    vae = build(pictures, tmp_path, patch_px=4, latent_channels=5)
    patches = pixels.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 48).double()
    centred = patches - patches.reshape(-1, 3, 16).mean((0, 2)).repeat_interleave(16)
    lost = torch.linalg.svdvals(centred)[5:].square().sum() / centred.numel()  # Eckart and Young 1936
    assert (rebuilt(vae, pixels) - pixels).square().mean().item() == pytest.approx(lost.item(), rel=1e-3)


def test_latents_have_variance_1_as_a_whole_and_whitening_says_how_it_is_shared(pictures, tmp_path):
    pixels = to_tensor(np.stack(pictures))

    def deviations(whitening):
        vae = build(pictures, tmp_path / str(whitening), patch_px=4, latent_channels=6, whitening=whitening)
        with torch.inference_mode():
            return vae.encode(pixels).latent_dist.mean.square().mean((0, 2, 3)).sqrt()

    for whitening in (0.0, 0.6, 1.0):
        assert deviations(whitening).square().mean().item() == pytest.approx(1, rel=1e-3)
    assert torch.allclose(deviations(1.0), torch.ones(6), rtol=1e-3)
    ratios = deviations(0.6) / deviations(0.6)[0]
    assert torch.allclose(ratios, (deviations(0.0) / deviations(0.0)[0]) ** 0.4, rtol=1e-3)


def test_the_saved_pipeline_is_loaded_by_diffusers_and_draws(pictures, tmp_path):
    base = Scratch.model_validate(TINY_BASE | {"autoencoder": {"kind": "pca", "patch_px": 2, "latent_channels": 4}})
    base.build(in_memory(pictures), Work(folder=tmp_path))
    folder = tmp_path / "out" / "pipeline"
    assert json.loads((folder / "model_index.json").read_text())["vae"][1] == "PatchAutoencoder"
    assert load_part(folder, "vae", "cpu").config["latent_channels"] == base.autoencoder.latent_channels
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    drawn = pipeline("Histology image", num_inference_steps=2, height=16, width=16, output_type="np").images
    assert drawn.shape == (1, 16, 16, 3)
    assert not (tmp_path / "out" / "losses.jsonl").exists()


def test_a_preset_leaves_an_autoencoder_of_another_kind_alone():
    base = Scratch.model_validate({"kind": "scratch", "preset": "tiny", "autoencoder": {"kind": "pca"}})
    assert base.autoencoder == Pca(kind="pca")


def test_more_channels_than_a_patch_has_numbers_are_refused():
    with pytest.raises(ValidationError, match="13 channels of patches that have 12 numbers"):
        Pca(kind="pca", patch_px=2, latent_channels=13)
