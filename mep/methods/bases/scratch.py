"""A small latent diffusion model of the Stable Diffusion family, built from its sizes."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mep.config import Config
from mep.diffusion.families.stable_diffusion import StableDiffusion
from mep.machine.libraries import prepare_libraries
from mep.methods.autoencoders import Autoencoder
from mep.methods.autoencoders.kl import Kl
from mep.methods.bases import Base
from mep.methods.bases._drawn import TextSizes, save_base
from mep.methods.bases._tokenizer import build_tokenizer
from mep.registry import OneOf

if TYPE_CHECKING:
    from torch import nn

    from mep.artifacts import Images
    from mep.diffusion.families import Family
    from mep.diffusion.pipelines import Tokenizers
    from mep.diffusion.types import CLIPTokenizer
    from mep.machine.work import Work


class UnetSizes(Config):
    """A UNet2DConditionModel."""

    channels: tuple[Annotated[int, Field(le=65536)], ...] = Field((48, 96, 128), min_length=1, max_length=6)
    """Channels of each level; every level after the first halves the side."""
    attention: tuple[bool, ...] = (False, False, True)
    """Whether a level attends to the caption, as the middle block always does."""
    layers: int = Field(1, ge=1, le=4)
    """Residual blocks in a level."""
    head_channels: int = Field(32, ge=4, le=128)
    """Channels of an attention head."""
    pooled_caption: bool = False
    """Add a learned pooling of the caption to the embedding of the timestep, through which it reaches every block. A
    short training listens to its captions sooner."""


Settings: TypeAlias = dict[str, Any]
"""Fields of a config as a recipe has them, or arguments of a model's constructor."""

PRESETS: dict[str, Settings] = {
    "tiny": {
        "resolution": 128,
        "autoencoder": {"channels": [64, 128, 256], "steps": 10_000, "batch_size": 32, "crop_px": 64},
        "unet": {"channels": [128, 256, 384], "attention": [False, True, True], "layers": 2, "head_channels": 64},
        "text": {"width": 256, "layers": 4, "tokens": 77},
    },
    "small": {
        "resolution": 256,
        "autoencoder": {"channels": [96, 192, 384, 384], "layers": 2, "steps": 40_000, "batch_size": 32}
        | {"crop_px": 128},
        "unet": {"channels": [192, 384, 576, 768], "attention": [True, True, True, False], "layers": 2}
        | {"head_channels": 64},
        "text": {"width": 512, "layers": 8, "tokens": 77},
    },
}
"""What a preset changes of the defaults, which are `nano`."""


def merge(defaults: Settings, changes: Settings) -> Settings:
    """The changes where there are any, else the defaults; nested mappings field by field, unless of another kind."""
    merged = defaults | changes
    for name in defaults.keys() & changes.keys():
        both = defaults[name], changes[name]
        if all(isinstance(value, dict) for value in both) and len({value.get("kind", "kl") for value in both}) == 1:
            merged[name] = merge(defaults[name], changes[name])
    return merged


class Scratch(Base):
    """Autoencoder, text encoder and UNet drawn from the recipe's seed; the autoencoder is trained on the images.

    A genuine StableDiffusionPipeline, only small: training, generation and the saved folder are the same as for
    Stable Diffusion (Rombach et al. 2022, arXiv:2112.10752).
    """

    kind: Literal["scratch"]
    preset: Literal["nano", "tiny", "small"] = "nano"
    """Sizes to start from: nano for two CPU cores (a UNet of 4.6 million parameters), tiny for a small GPU, small for a
    GPU of 24 GB. Every field below overrides it."""
    resolution: int = Field(64, ge=8, le=1024)
    """Side in pixels of the squares that the model is trained on and generates."""
    autoencoder: OneOf[Autoencoder] = Kl(kind="kl")
    """What makes latents of pixels: kl is trained, pca is there at once and sharp, for small images."""
    unet: UnetSizes = UnetSizes()
    text: TextSizes = TextSizes()
    prediction: Literal["epsilon", "v_prediction"] = "v_prediction"
    """What the UNet predicts. Velocity keeps the mean colour right at high noise, with few steps of training."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        name = given.get("preset") if isinstance(given, dict) else None
        return merge(PRESETS[name], given) if isinstance(name, str) and name in PRESETS else given

    @model_validator(mode="after")
    def _sizes_fit(self) -> Scratch:
        if len(self.unet.attention) != len(self.unet.channels):
            raise PydanticCustomError(
                "cross_field",
                "{n} levels have channels, {m} have attention",
                {"n": len(self.unet.channels), "m": len(self.unet.attention), "field": "unet.attention"}
                | {"hint": "give one true or false for each number of channels"},
            )
        total = self.autoencoder.factor * 2 ** (len(self.unet.channels) - 1)
        if self.resolution % total:
            raise PydanticCustomError(
                "cross_field",
                "{size} pixels cannot be halved as often as autoencoder and UNet do",
                {"size": self.resolution, "field": "resolution", "hint": f"take a multiple of {total}"},
            )
        return self

    @property
    def caption_tokens(self) -> int:
        return self.text.tokens

    def tokenizers(self) -> Tokenizers:
        return [(self.text.tokens, partial(build_tokenizer, self.text.tokens))]

    @property
    def latent_numbers(self) -> int:
        return self.autoencoder.latent_numbers(self.resolution)

    def outline(self) -> tuple[Family, nn.Module]:
        prepare_libraries()
        import torch

        from mep.diffusion import types

        with torch.device("meta"):
            return StableDiffusion(), types.UNet2DConditionModel(**self._unet_settings())

    def build(self, images: Images, work: Work) -> dict[str, str]:
        prepare_libraries()
        import torch
        from transformers import CLIPTextConfig

        from mep.diffusion import types

        tokenizer = build_tokenizer(self.text.tokens)
        torch.manual_seed(work.seed_for("text encoder"))
        text_encoder = types.CLIPTextModel(CLIPTextConfig(**self._text_settings(tokenizer)))
        torch.manual_seed(work.seed_for("unet"))
        unet = types.UNet2DConditionModel(**self._unet_settings())
        vae, log = self.autoencoder.build(images, self.resolution, work)
        scheduler = types.DDPMScheduler(
            num_train_timesteps=1000,
            beta_schedule="scaled_linear",
            beta_start=0.00085,  # Stable Diffusion's schedule
            beta_end=0.012,
            prediction_type=self.prediction,
            rescale_betas_zero_snr=self.prediction == "v_prediction",  # Lin et al. 2024, arXiv:2305.08891
            timestep_spacing="trailing",
            clip_sample=False,
            steps_offset=1,
        )
        parts = {"vae": vae.cpu(), "text_encoder": text_encoder, "tokenizer": tokenizer, "unet": unet}
        pipeline = types.StableDiffusionPipeline(**parts, scheduler=scheduler, **StableDiffusion.left_out)
        return save_base(pipeline, log, work)

    def _unet_settings(self) -> Settings:
        sizes, latent_channels = self.unet, self.autoencoder.latent_channels
        pooled = {"addition_embed_type": "text", "addition_embed_type_num_heads": max(1, self.text.width // 16)}
        return {
            "sample_size": self.resolution // self.autoencoder.factor,
            "in_channels": latent_channels,
            "out_channels": latent_channels,
            "block_out_channels": sizes.channels,
            "layers_per_block": sizes.layers,
            "down_block_types": tuple("CrossAttnDownBlock2D" if on else "DownBlock2D" for on in sizes.attention),
            "up_block_types": tuple("CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(sizes.attention)),
            "cross_attention_dim": self.text.width,
            # diffusers calls the number of heads of each level attention_head_dim
            "attention_head_dim": tuple(max(1, width // sizes.head_channels) for width in sizes.channels),
            "norm_num_groups": math.gcd(8, *sizes.channels),
        } | (pooled if sizes.pooled_caption else {})

    def _text_settings(self, tokenizer: CLIPTokenizer) -> Settings:
        return {
            "vocab_size": len(tokenizer),
            "hidden_size": self.text.width,
            "projection_dim": self.text.width,
            "intermediate_size": 4 * self.text.width,
            "num_hidden_layers": self.text.layers,
            "num_attention_heads": max(1, self.text.width // 16),
            "max_position_embeddings": self.text.tokens,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            # At the usual scale a random encoder gives all captions nearly one code: 4 % of the variance is between
            # captions, at ten times that scale 40 %, and a short training learns to tell them apart.
            "initializer_factor": 10.0,
        }
