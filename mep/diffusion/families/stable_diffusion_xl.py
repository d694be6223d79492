"""Stable Diffusion XL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mep.diffusion.families import Condition, Family, tokens_of

if TYPE_CHECKING:
    from torch import Tensor, nn


class StableDiffusionXL(Family):
    """A UNet with two CLIP text encoders, a pooled caption, and the size of the image (Podell et al. 2023,
    arXiv:2307.01952)."""

    pipeline: ClassVar[str] = "StableDiffusionXLPipeline"
    core: ClassVar[str] = "unet"
    encoders: ClassVar[dict[str, str]] = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}
    left_out: ClassVar[dict[str, Any]] = {"image_encoder": None, "feature_extractor": None, "add_watermarker": False}

    def encode(self, parts: Any, texts: Sequence[str], side: int) -> Condition:
        import torch

        states = []
        for encoder, tokenizer in self.encoders.items():
            model = getattr(parts, encoder)
            tokens = tokens_of(getattr(parts, tokenizer), texts).to(model.device)
            given = model(tokens, output_hidden_states=True)
            states.append(given.hidden_states[-2].float())  # the last but one, as the model was trained
        said = {"states": torch.cat(states, dim=-1), "pooled": given[0].float()}  # pooled by the second
        for row, text in enumerate(texts):
            if not text:  # as the pipeline does without a negative prompt, and as the model was trained
                for values in said.values():
                    values[row] = 0
        sizes = torch.tensor([[side, side, 0, 0, side, side]], dtype=torch.float32)  # before and after cropping
        return said | {"sizes": sizes.expand(len(texts), -1).to(tokens.device)}

    def predict(self, core: Any, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        added = {"text_embeds": condition["pooled"], "time_ids": condition["sizes"]}
        predicted: Tensor = core(noisy, times, condition["states"], added_cond_kwargs=added).sample
        return predicted

    def arguments(self, core: Any, condition: Condition, empty: Condition) -> dict[str, Any]:
        prompts = {"prompt_embeds": condition["states"], "pooled_prompt_embeds": condition["pooled"]}
        return prompts | {"negative_prompt_embeds": empty["states"], "negative_pooled_prompt_embeds": empty["pooled"]}

    def blocks(self, core: Any) -> list[nn.Module]:
        return [*core.down_blocks, core.mid_block, *core.up_blocks]
