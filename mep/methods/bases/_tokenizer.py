"""A small CLIP tokenizer for models built from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mep.diffusion.types import CLIPTokenizer

WORDS = """
histology image of healthy cancer normal tumor stained unstained tissue morphology type chest x ray appearance
photograph slide patch stain cluster label type class zero one two three four five six seven eight nine ten eleven
twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty
ninety hundred thousand and
"""
"""Words that become one token; every other word is spelled out, so that no caption is unknown."""

START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(n_tokens: int) -> CLIPTokenizer:
    """A CLIPTokenizer whose vocabulary is all bytes and a list of words, with captions of at most n_tokens tokens."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    merges: dict[tuple[str, str], None] = {}
    for word in dict.fromkeys(WORDS.split()):
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merges[parts[0], parts[1]] = None
            parts[:2] = [parts[0] + parts[1]]
            tokens.append(parts[0])
    vocabulary = {token: row for row, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    return CLIPTokenizer(vocabulary, list(merges), model_max_length=n_tokens)  # type: ignore[arg-type]  # wants pairs
