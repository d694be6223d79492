"""Stable Diffusion 1.x and 2.x, and small models of their architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from mep.diffusion.families import Condition, Family, tokens_of

if TYPE_CHECKING:
    from torch import Tensor, nn


class StableDiffusion(Family):
    """A UNet that attends to the hidden states of one CLIP text encoder (Rombach et al. 2022, arXiv:2112.10752)."""

    pipeline: ClassVar[str] = "StableDiffusionPipeline"
    core: ClassVar[str] = "unet"
    encoders: ClassVar[dict[str, str]] = {"text_encoder": "tokenizer"}
    left_out: ClassVar[dict[str, Any]] = {
        "safety_checker": None,  # it judges photographs, not tissue
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    trains_text: ClassVar[bool] = True

    def encode(self, parts: Any, texts: Sequence[str], side: int) -> Condition:
        tokens = tokens_of(parts.tokenizer, texts).to(parts.text_encoder.device)
        return self.encode_tokens(parts.text_encoder, {"tokens": tokens})

    def encode_tokens(self, text_encoder: Any, condition: Condition) -> Condition:
        return {"states": text_encoder(condition["tokens"])[0].float()}

    def predict(self, core: Any, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        return cast("Tensor", core(noisy, times, condition["states"]).sample)

    def arguments(self, core: Any, condition: Condition, empty: Condition) -> dict[str, Any]:
        return {"prompt_embeds": condition["states"], "negative_prompt_embeds": empty["states"]}

    def blocks(self, core: Any) -> list[nn.Module]:
        blocks = [*core.down_blocks, core.mid_block, *core.up_blocks]
        return [block for block in blocks if block is not None]
