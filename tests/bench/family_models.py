"""Pipelines of every family with random weights: the architectures as published, with fewer channels and blocks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sd_like import build as build_sd
from sd_like import multiple

from mep.machine.libraries import prepare_libraries
from mep.methods.bases._tokenizer import build_tokenizer

TOKENS = 77


def build_sdxl(folder: Path, width: float, device: str) -> None:
    """A UNet of three levels with many transformer blocks in the deepest, and two text encoders."""
    import diffusers

    tokenizer = build_tokenizer(TOKENS)
    one, two = clip(width, 768), clip(width, 1280)
    channels = tuple(multiple(n * width, 64) for n in (320, 640, 1280))
    unet = diffusers.UNet2DConditionModel(
        sample_size=64,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=tuple(n // 64 for n in channels),
        cross_attention_dim=one.config.hidden_size + two.config.hidden_size,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=64,
        projection_class_embeddings_input_dim=6 * 64 + two.config.projection_dim,
    )
    scheduler = diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    diffusers.StableDiffusionXLPipeline(
        vae=autoencoder(width, 4, scaling_factor=0.13025),
        text_encoder=one,
        text_encoder_2=two,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=scheduler,
    ).save_pretrained(folder)


def build_sd3(folder: Path, width: float, device: str) -> None:
    """A transformer of 24 blocks over captions and latents together, and three text encoders."""
    import diffusers

    tokenizer = build_tokenizer(TOKENS)
    one, two, heads = clip(width, 768), clip(width, 1280), max(1, round(24 * width))
    t5 = t5_encoder(multiple(4096 * width, 64), 6, len(tokenizer))
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=64,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=24,
        attention_head_dim=64,
        num_attention_heads=heads,
        joint_attention_dim=t5.config.d_model,
        caption_projection_dim=64 * heads,
        pooled_projection_dim=one.config.projection_dim + two.config.projection_dim,
        pos_embed_max_size=96,
    )
    diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(width, 16, scaling_factor=1.5305, shift_factor=0.0609),
        text_encoder=one,
        text_encoder_2=two,
        text_encoder_3=t5,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=tokenizer,
    ).save_pretrained(folder)


def build_pixart(folder: Path, width: float, device: str) -> None:
    """A transformer of 28 blocks that attends to a T5 encoder."""
    import diffusers

    tokenizer, heads = build_tokenizer(TOKENS), max(1, round(16 * width))
    t5 = t5_encoder(multiple(4096 * width, 64), 6, len(tokenizer))
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=64,
        in_channels=4,
        out_channels=8,
        num_layers=28,
        num_attention_heads=heads,
        attention_head_dim=72,
        cross_attention_dim=72 * heads,
        caption_channels=t5.config.d_model,
        patch_size=2,
    )
    diffusers.PixArtSigmaPipeline(
        vae=autoencoder(width, 4, scaling_factor=0.13025),
        text_encoder=t5,
        tokenizer=tokenizer,
        transformer=transformer,
        scheduler=diffusers.DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02),
    ).save_pretrained(folder)


BUILDERS: dict[str, Callable[[Path, float, str], None]] = {
    "sd": build_sd,
    "sdxl": build_sdxl,
    "sd3": build_sd3,
    "pixart": build_pixart,
}


def build(family: str, folder: Path, width: float, device: str) -> None:
    """Save a pipeline of a family; its channels are those of the published model times a width."""
    prepare_libraries()
    torch.manual_seed(0)
    BUILDERS[family](folder, width, device)


def clip(width: float, channels: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    hidden = multiple(channels * width, 64)
    tokens = {"vocab_size": 49408, "max_position_embeddings": TOKENS, "eos_token_id": 49407}
    sizes = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "projection_dim": hidden}
    return CLIPTextModelWithProjection(
        CLIPTextConfig(**tokens, **sizes, num_hidden_layers=12, num_attention_heads=hidden // 64)
    )


def t5_encoder(hidden: int, layers: int, n_tokens: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    sizes = {"d_model": hidden, "d_kv": 64, "d_ff": 5 * hidden // 2, "num_heads": hidden // 64}
    return T5EncoderModel(T5Config(vocab_size=n_tokens, **sizes, num_layers=layers))


def autoencoder(width: float, latent_channels: int, **settings: float) -> Any:
    import diffusers

    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=tuple(multiple(n * width, 32) for n in (128, 256, 512, 512)),
        layers_per_block=2,
        latent_channels=latent_channels,
        norm_num_groups=32,
        **settings,
    )
