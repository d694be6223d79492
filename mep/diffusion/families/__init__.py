"""Families of latent diffusion models. A file says what the parts of one are called and how they are used.

Everything else asks the family of a pipeline's folder, and knows none by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from mep.errors import DataError
from mep.machine.files import read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

Condition: TypeAlias = "dict[str, Tensor]"
"""What a model is told beside noisy latents and times: by name, float (b, ...)."""


class Family:
    """What a family calls its parts, and how it uses them."""

    pipeline: ClassVar[str]
    """The class of diffusers that draws with it and loads its folder."""
    core: ClassVar[str]
    """The part that removes noise."""
    encoders: ClassVar[dict[str, str]]
    """Text encoders, each with its tokenizer."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Text encoders that may be left out."""
    left_out: ClassVar[dict[str, Any]] = {}
    """Further parts that diffusers asks for, and mep does without."""
    most_tokens: ClassVar[int] = 512
    """Tokens of a caption at most, whatever its tokenizer would take."""
    trains_text: ClassVar[bool] = False
    """Whether `training.text_encoder: train` can be had."""
    rescales: ClassVar[bool] = True
    """Whether its pipeline knows `guidance_rescale`."""
    adapts: ClassVar[bool] = True
    """Whether its pipeline loads LoRA weights."""
    attended: ClassVar[str] = "states"
    """What of a condition the core attends to, float (n, tokens, width)."""
    call: ClassVar[dict[str, Any]] = {}
    """What its pipeline has to be told with every prompt."""

    def encode(self, parts: Any, texts: Sequence[str], side: int) -> Condition:
        """What captions say to the model, float32 (n, ...); too long ones are cut.

        parts   has encoders and tokenizers as attributes, None for those that are left out
        side    of the images in pixels, which some models are told
        """
        raise NotImplementedError

    def encode_tokens(self, text_encoder: Any, condition: Condition) -> Condition:
        """The same of token numbers, by a text encoder that is trained."""
        raise NotImplementedError

    def with_tokens(self, condition: Condition, tokens: Tensor) -> Condition:
        """The same with further tokens (n, ..., width) after those of the captions."""
        import torch

        states = condition[self.attended]
        longer = {self.attended: torch.cat([states, tokens.to(states.dtype)], dim=1)}
        if "mask" in condition:
            mask = condition["mask"]
            longer["mask"] = torch.cat([mask, mask.new_ones(tokens.shape[:2])], dim=1)
        return condition | longer

    def predict(self, core: Any, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """What the model predicts for noisy latents (b, c, h, w), of their shape and type; times (b,)."""
        raise NotImplementedError

    def arguments(self, core: Any, condition: Condition, empty: Condition) -> dict[str, Any]:
        """Arguments of the pipeline's call in the place of prompts: captions, and as many empty ones."""
        raise NotImplementedError

    def blocks(self, core: Any) -> list[nn.Module]:
        """The large parts of the core, one after the other: what is whole at once where a model is split (FSDP)."""
        raise NotImplementedError

    def readers(self, folder: Path) -> dict[str, str]:
        """Text encoders that a pipeline's folder has to have, each with its tokenizer."""
        absent = self.absent(folder)
        return {encoder: tokenizer for encoder, tokenizer in self.encoders.items() if encoder not in absent}

    def absent(self, folder: Path) -> dict[str, None]:
        """Text encoders that are left out of a pipeline's folder, and their tokenizers: diffusers wants to be told."""
        index = read_json(folder / "model_index.json")
        names = [name for name in self.optional if not (index.get(name) or [None])[0]]
        return dict.fromkeys([*names, *(self.encoders[name] for name in names)])


@cache
def families() -> Mapping[str, Family]:
    """Every family by the class of its pipeline."""
    modules = [importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)]
    kinds = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    return {kind.pipeline: kind() for kind in kinds if issubclass(kind, Family) and kind is not Family}


def family_of(folder: Path) -> Family:
    """The family of the pipeline in a folder; DataError where it is of none, or holds nothing."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise DataError(
            f"{folder} holds no model: it has no model_index.json",
            hint="name one that save_pretrained of a pipeline wrote; on several hosts, one that all share",
        )
    name = str(read_json(index).get("_class_name"))
    if name not in families():
        raise DataError(
            f"{folder} holds a {name}, wanted one of {', '.join(sorted(families()))}",
            hint="other architectures cannot be used; a new one is a file in mep/diffusion/families/",
        )
    return families()[name]


def tokens_of(tokenizer: Any, texts: Sequence[str], length: int | None = None) -> Tensor:
    """Token numbers int64 (n, length), padded as published models were trained; default: the tokenizer's length."""
    length = length or tokenizer.model_max_length
    numbers = tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    tokens: Tensor = numbers.input_ids
    return tokens
