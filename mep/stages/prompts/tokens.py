"""How a base reads a caption: two captions of the same tokens are one to it."""

import sys
from collections.abc import Callable
from typing import TypeAlias

from mep.artifacts import BaseModel, Model
from mep.diffusion.token_names import without_tokens

Tokens: TypeAlias = tuple[int | str, ...]
Tokenize: TypeAlias = Callable[[str], Tokens]


def length_of(text: str, tokenize: Tokenize) -> int:
    """Tokens that a caption has at least: what may be learned as a new token counts as one.

    Whether it is learned the training says, which counts again.
    """
    plain, n_new = without_tokens(text)
    return len(tokenize(plain)) + n_new


def reading_of(base: BaseModel | Model) -> tuple[Tokenize, int]:
    """What makes tokens of a text, begin and end among them, and how many are read; words where there is no model."""
    if not base.pipeline.is_dir():
        return lambda text: tuple(text.lower().split()), sys.maxsize
    from mep.diffusion.pipelines import load_part

    tokenizer = load_part(base.pipeline, "tokenizer", "cpu")
    return lambda text: tuple(tokenizer(text).input_ids), tokenizer.model_max_length
