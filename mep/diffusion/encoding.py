"""Pixels to latents and captions to hidden states, each in a pass of its own, so that no value depends on a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import BaseModel
from mep.config import digest, folder_digest
from mep.diffusion.pipelines import load_part, to_tensor
from mep.errors import DataError
from mep.imaging.pixels import symmetry
from mep.machine.array_cache import ArrayCache
from mep.machine.files import read_json, sha256_of
from mep.machine.work import Work

if TYPE_CHECKING:
    from torch import Tensor

    from mep.diffusion.types import AutoencoderKL, CLIPTextModel, CLIPTokenizer


@dataclass
class LatentEncoder:
    """The autoencoder of a base."""

    base: BaseModel
    device: str

    @cached_property
    def vae(self) -> AutoencoderKL:
        return cast("AutoencoderKL", load_part(self.base.pipeline, "vae", self.device))

    def posterior(self, pixels: NDArray[np.uint8], turns: Sequence[int]) -> NDArray[np.float32]:
        """Mean and standard deviation, float32 (s, 2, c, h, w), of an image (h, w, 3) under s symmetries."""
        import torch

        views = np.stack([symmetry(pixels, turn) for turn in turns])
        with torch.inference_mode():
            posterior = self.vae.encode(to_tensor(views, self.device)).latent_dist
            return cast(NDArray[np.float32], torch.stack([posterior.mean, posterior.std], 1).float().cpu().numpy())


@dataclass(frozen=True)
class Scaling:
    """From the autoencoder's latents to those that the UNet sees."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    scale: float
    shift: float

    @classmethod
    def of(cls, base: BaseModel) -> Scaling:
        settings = read_json(base.pipeline / "vae" / "config.json")
        side = base.resolution // 2 ** (len(settings["block_out_channels"]) - 1)
        return cls(
            (int(settings["latent_channels"]), side, side),
            float(settings.get("scaling_factor", 0.18215)),  # of Stable Diffusion, and the default of diffusers
            float(settings.get("shift_factor") or 0.0),
        )

    def __call__(self, latents: Tensor) -> Tensor:
        return (latents - self.shift) * self.scale


def tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Token numbers int64 (n, tokens), padded to the tokenizer's full length; DataError where a prompt is longer."""
    longest = int(tokenizer.model_max_length)
    for text in texts:
        n = len(tokenizer(text).input_ids)
        if n > longest:
            raise DataError(
                f"the prompt {text!r} has {n} tokens, the text encoder reads {longest}",
                hint="shorten the template or the names in it; the rest would be cut off without a word",
                field="prompts.template",
            )
    tokens = tokenizer(list(texts), padding="max_length", max_length=longest, return_tensors="pt")
    return cast("Tensor", tokens.input_ids)


class Captions:
    """Hidden states of captions from a frozen text encoder, memory-mapped; each distinct one is computed once."""

    def __init__(self, base: BaseModel, texts: Sequence[str], work: Work):
        import torch

        tokens = tokenize(load_part(base.pipeline, "tokenizer", work.device), texts)
        parts = {part: folder_digest(base.pipeline / part, sha256_of) for part in ("text_encoder", "tokenizer")}
        arrays = ArrayCache(work.cache_for("captions") / digest(parts | {"dtype": "float32", "format": 1})[:32])
        keys = [digest(row) for row in tokens.tolist()]

        @cache
        def text_encoder() -> CLIPTextModel:
            return cast("CLIPTextModel", load_part(base.pipeline, "text_encoder", work.device))

        @torch.inference_mode()
        def compute(rows: Sequence[int]) -> NDArray[np.float32]:
            batches = (tokens[row : row + 1].to(work.device) for row in rows)
            return torch.cat([text_encoder()(batch)[0].float().cpu() for batch in batches]).numpy()

        places = arrays.fill(keys, compute, work)
        self.places = [places[key] for key in keys]
        self.shards = {place.shard: arrays.read(place.shard) for place in self.places}

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """float32 (b, tokens, d) of captions by their number."""
        import torch

        places = [self.places[row] for row in rows]
        return torch.from_numpy(np.stack([self.shards[place.shard][place.row] for place in places]))
