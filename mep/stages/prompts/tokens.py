"""How a base reads a caption: two captions of the same tokens are one to it."""

import sys
from collections.abc import Callable
from typing import TypeAlias

from mep.artifacts import BaseModel, Model

Tokens: TypeAlias = tuple[int | str, ...]
Tokenize: TypeAlias = Callable[[str], Tokens]


def reading_of(base: BaseModel | Model) -> tuple[Tokenize, int]:
    """What makes tokens of a text, begin and end among them, and how many are read; words where there is no model."""
    if not base.pipeline.is_dir():
        return lambda text: tuple(text.lower().split()), sys.maxsize
    from mep.diffusion.pipelines import load_part

    tokenizer = load_part(base.pipeline, "tokenizer", "cpu")
    return lambda text: tuple(tokenizer(text).input_ids), tokenizer.model_max_length
