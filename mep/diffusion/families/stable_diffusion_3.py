"""Stable Diffusion 3 and 3.5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mep.diffusion.families import Condition, Family, tokens_of

if TYPE_CHECKING:
    from torch import Tensor, nn

T5_TOKENS = 256
"""Places of the T5 encoder in a caption, kept empty where it is left out; the pipeline's own number."""


class StableDiffusion3(Family):
    """A transformer (MMDiT) on captions of two CLIP encoders and a T5, which may be left out; trained by flow matching
    (Esser et al. 2024, arXiv:2403.03206)."""

    pipeline: ClassVar[str] = "StableDiffusion3Pipeline"
    core: ClassVar[str] = "transformer"
    encoders: ClassVar[dict[str, str]] = {
        "text_encoder": "tokenizer",
        "text_encoder_2": "tokenizer_2",
        "text_encoder_3": "tokenizer_3",
    }
    optional: ClassVar[tuple[str, ...]] = ("text_encoder_3",)
    left_out: ClassVar[dict[str, Any]] = {"image_encoder": None, "feature_extractor": None}
    rescales: ClassVar[bool] = False
    attended: ClassVar[str] = "clip"

    def encode(self, parts: Any, texts: Sequence[str], side: int) -> Condition:
        import torch

        states, pooled = [], []
        for encoder, tokenizer in list(self.encoders.items())[:2]:
            model = getattr(parts, encoder)
            tokens = tokens_of(getattr(parts, tokenizer), texts).to(model.device)
            given = model(tokens, output_hidden_states=True)
            states.append(given.hidden_states[-2].float())
            pooled.append(given[0].float())
        said = {"clip": torch.cat(states, dim=-1), "pooled": torch.cat(pooled, dim=-1)}
        if parts.text_encoder_3 is not None:
            tokens = tokens_of(parts.tokenizer_3, texts, T5_TOKENS).to(parts.text_encoder_3.device)
            said["t5"] = parts.text_encoder_3(tokens)[0].float()
        return said

    def predict(self, core: Any, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        predicted: Tensor = core(
            noisy,
            encoder_hidden_states=self._states(core, condition),
            pooled_projections=condition["pooled"],
            timestep=times,
        ).sample
        return predicted

    def arguments(self, core: Any, condition: Condition, empty: Condition) -> dict[str, Any]:
        prompts = {"prompt_embeds": self._states(core, condition), "pooled_prompt_embeds": condition["pooled"]}
        negative = {"negative_prompt_embeds": self._states(core, empty)}
        return prompts | negative | {"negative_pooled_prompt_embeds": empty["pooled"]}

    def blocks(self, core: Any) -> list[nn.Module]:
        return list(core.transformer_blocks)

    def _states(self, core: Any, condition: Condition) -> Tensor:
        """float (b, tokens, d) of all encoders: CLIP's filled up to the width of T5, and after them T5's."""
        import torch

        clip, width = condition["clip"], core.config.joint_attention_dim
        filled = torch.nn.functional.pad(clip, (0, width - clip.shape[-1]))
        t5 = condition["t5"] if "t5" in condition else clip.new_zeros(len(clip), T5_TOKENS, width)
        return torch.cat([filled, t5], dim=1)
