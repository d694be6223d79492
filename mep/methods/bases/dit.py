"""A small latent diffusion transformer, trained by flow matching."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mep.config import Config
from mep.diffusion.families.pixart import PixArt
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
    from mep.machine.work import Work


class TransformerSizes(Config):
    """A PixArtTransformer2DModel."""

    width: int = Field(256, ge=16, le=4096)
    """Channels of a patch."""
    layers: int = Field(8, ge=1, le=64)
    """Transformer blocks."""
    head_channels: int = Field(32, ge=4, le=128)
    """Channels of an attention head."""
    patch: int = Field(2, ge=1, le=8)
    """Side of a patch in elements of the latent."""


class Dit(Base):
    """Autoencoder, T5 text encoder and transformer (Peebles & Xie 2023, arXiv:2212.09748) drawn from the recipe's seed.

    The autoencoder is trained on the images; the text encoder stays frozen and gives every caption a fixed code. The
    transformer learns by flow matching. A genuine PixArtSigmaPipeline (Chen et al. 2024, arXiv:2403.04692), only small.
    """

    kind: Literal["dit"]
    prediction: ClassVar[str] = "flow_prediction"
    implies: ClassVar[dict[str, str]] = {"timesteps": "logit_normal"}
    only: ClassVar[dict[str, object]] = {
        "method": "unet",
        "text_encoder": "frozen",
        "prediction": None,
        "snr_gamma": None,
        "zero_terminal_snr": False,
    }

    resolution: int = Field(64, ge=8, le=1024)
    """Side in pixels of the squares that the model is trained on and generates."""
    autoencoder: OneOf[Autoencoder] = Kl(kind="kl")
    """What makes latents of pixels: kl is trained, pca is there at once and sharp, for small images."""
    transformer: TransformerSizes = TransformerSizes()
    text: TextSizes = TextSizes()
    shift: float = Field(1.0, gt=0, le=20)
    """How far training and drawing dwell on noisy times; more for larger images (Esser et al. 2024: 3 at 1024 px)."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Dit:
        total, sizes = self.autoencoder.factor * self.transformer.patch, self.transformer
        if self.resolution % total:
            raise PydanticCustomError(
                "cross_field",
                "{size} pixels cannot be divided into patches",
                {"size": self.resolution, "field": "resolution", "hint": f"take a multiple of {total}"},
            )
        if sizes.width % sizes.head_channels:
            raise PydanticCustomError(
                "cross_field",
                "{width} channels cannot be divided into heads of {head}",
                {"width": sizes.width, "head": sizes.head_channels, "field": "transformer.head_channels"}
                | {"hint": f"take a divisor of {sizes.width}"},
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
        import diffusers
        import torch

        with torch.device("meta"):
            transformer: Any = diffusers.PixArtTransformer2DModel(**self._transformer_settings())
        return PixArt(), transformer

    def build(self, images: Images, work: Work) -> dict[str, str]:
        prepare_libraries()
        import diffusers
        import torch
        from transformers import T5Config, T5EncoderModel

        tokenizer = build_tokenizer(self.text.tokens)
        torch.manual_seed(work.seed_for("text encoder"))
        text_encoder = T5EncoderModel(T5Config(**self._text_settings(len(tokenizer), tokenizer.pad_token_id)))
        torch.manual_seed(work.seed_for("transformer"))
        transformer: Any = diffusers.PixArtTransformer2DModel(**self._transformer_settings())
        torch.nn.init.zeros_(transformer.proj_out.weight)  # so that it begins with the mean of all directions
        torch.nn.init.zeros_(transformer.proj_out.bias)
        vae, log = self.autoencoder.build(images, self.resolution, work)
        scheduler = diffusers.DPMSolverMultistepScheduler(
            algorithm_type="dpmsolver++",
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=self.shift,
        )
        parts: dict[str, Any] = {"vae": vae.cpu(), "text_encoder": text_encoder, "tokenizer": tokenizer}
        pipeline: Any = diffusers.PixArtSigmaPipeline(**parts, transformer=transformer, scheduler=scheduler)
        return save_base(pipeline, log, work)

    def _transformer_settings(self) -> dict[str, Any]:
        sizes = self.transformer
        return {
            "sample_size": self.resolution // self.autoencoder.factor,
            "in_channels": self.autoencoder.latent_channels,
            "out_channels": self.autoencoder.latent_channels,
            "num_layers": sizes.layers,
            "num_attention_heads": sizes.width // sizes.head_channels,
            "attention_head_dim": sizes.head_channels,
            "cross_attention_dim": sizes.width,
            "caption_channels": self.text.width,
            "patch_size": sizes.patch,
            "use_additional_conditions": False,  # the side of the image, which is always the same
        }

    def _text_settings(self, n_words: int, padding: int) -> dict[str, Any]:
        heads = max(1, self.text.width // 16)
        return {
            "vocab_size": n_words,
            "d_model": self.text.width,
            "d_kv": self.text.width // heads,
            "d_ff": 4 * self.text.width,
            "num_layers": self.text.layers,
            "num_heads": heads,
            "pad_token_id": padding,
            "dropout_rate": 0.0,
        }
