"""PixArt-Sigma, and small diffusion transformers of its architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mep.diffusion.families import Condition, Family

if TYPE_CHECKING:
    from torch import Tensor, nn


class PixArt(Family):
    """A transformer (DiT) that attends to the hidden states of one T5 encoder, padding masked (Chen et al. 2024,
    arXiv:2403.04692)."""

    pipeline: ClassVar[str] = "PixArtSigmaPipeline"
    core: ClassVar[str] = "transformer"
    encoders: ClassVar[dict[str, str]] = {"text_encoder": "tokenizer"}
    most_tokens: ClassVar[int] = 300
    rescales: ClassVar[bool] = False
    adapts: ClassVar[bool] = False
    call: ClassVar[dict[str, Any]] = {"use_resolution_binning": False}  # images have the side that was trained

    def encode(self, parts: Any, texts: Sequence[str], side: int) -> Condition:
        length = min(parts.tokenizer.model_max_length, self.most_tokens)
        given = parts.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).to(parts.text_encoder.device)
        states = parts.text_encoder(given.input_ids, attention_mask=given.attention_mask)[0]
        return {"states": states.float(), "mask": given.attention_mask.float()}

    def predict(self, core: Any, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        predicted: Tensor = core(
            noisy,
            encoder_hidden_states=condition["states"],
            encoder_attention_mask=condition["mask"],
            timestep=times,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
        ).sample
        return predicted[:, : noisy.shape[1]]  # published models predict a variance too, which nobody uses

    def arguments(self, core: Any, condition: Condition, empty: Condition) -> dict[str, Any]:
        prompts = {"prompt_embeds": condition["states"], "prompt_attention_mask": condition["mask"]}
        negative = {f"negative_{name}": empty[key] for name, key in zip(prompts, ("states", "mask"), strict=True)}
        return prompts | negative | {"negative_prompt": None}

    def blocks(self, core: Any) -> list[nn.Module]:
        return list(core.transformer_blocks)
