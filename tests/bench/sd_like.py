"""Pipelines with Stable Diffusion 1.5's architecture and random weights, at any width, and images to train them on."""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from mep.diffusion.families.stable_diffusion import StableDiffusion
from mep.machine.libraries import prepare_libraries
from mep.methods.bases._tokenizer import build_tokenizer

SD15_PARAMETERS = 859_520_964
"""Of the UNet at width 1: the published model's number, which `build` checks."""


def build(folder: Path, width: float = 1.0, device: str = "cpu") -> None:
    """Save a pipeline as the hub holds it: SD 1.5's blocks and depths, its channels times a width.

    device      where its weights are drawn
    """
    prepare_libraries()
    with torch.device(device):
        _build(folder, width)


def _build(folder: Path, width: float) -> None:
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    def scaled(*channels: int) -> tuple[int, ...]:
        return tuple(multiple(n * width, 8) for n in channels)

    text_width = multiple(768 * width, 24)  # twelve heads
    groups = 32 if width == 1 else 8
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=scaled(320, 640, 1280, 1280),
        cross_attention_dim=text_width,
        attention_head_dim=8,
        norm_num_groups=groups,
    )
    if width == 1:
        assert sum(weights.numel() for weights in unet.parameters()) == SD15_PARAMETERS
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=scaled(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=groups,
        sample_size=512,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=text_width,
            intermediate_size=4 * text_width,
            projection_dim=text_width,
            num_hidden_layers=12,
            num_attention_heads=12,
            max_position_embeddings=77,
        )
    )
    scheduler = PNDMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        skip_prk_steps=True,
        steps_offset=1,
        set_alpha_to_one=False,
    )
    parts = {"unet": unet, "vae": vae, "text_encoder": text, "tokenizer": build_tokenizer(77), "scheduler": scheduler}
    StableDiffusionPipeline(**parts, **StableDiffusion.left_out).save_pretrained(folder)


def multiple(wanted: float, step: int) -> int:
    """The multiple of a step that is nearest to a number of channels, and at least one."""
    return max(step, round(wanted / step) * step)


def draw_images(folder: Path, n: int, side: int) -> None:
    """An imagefolder of smooth noise in two labels."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = []
    for number in range(n):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number:03d}.png")
        lines.append(f'{{"file_name": "{number:03d}.png", "label": "{"ab"[number % 2]}"}}')
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


def peak_gb() -> float:
    """Most memory that this program has held; what its parent held before it started is left out."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9
