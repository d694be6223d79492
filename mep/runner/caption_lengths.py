"""Captions that are longer than the text encoder reads, told before there is a base."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mep.artifacts import Prompt
from mep.config import parts
from mep.diffusion.token_names import tokens_in
from mep.errors import DataError
from mep.recipe.model import Experiment

PIECE = re.compile(r"<[^<>\s]+>|[^\W\d_]+|\d|[^\s\w]+", re.UNICODE)
"""What CLIP's tokenizer never joins: words, single digits, runs of signs; or a new token. Each is a token at least."""
SPECIAL_TOKENS = 4
"""Tokens that come on top of those of the text at most. One of the text takes a byte at least."""


def longest_captions(
    experiment: Experiment, prompts: Iterable[Prompt], *, fetch: bool = False
) -> list[tuple[str, int, int]]:
    """Captions that are too long, with their tokens and how many of these are read, the longest first.

    Counted by the tokenizers of the base, which are loaded only where a caption has so many letters that it may be too
    long. Where they are not on this machine, and are not to be fetched, the fewest tokens that CLIP would make of it.
    """
    base = experiment.training.base
    texts = list(dict.fromkeys(text for prompt in prompts for text in (prompt.text, *prompt.variants)))
    if experiment.made_elsewhere:
        return []
    if not fetch and any(part.missing() for part in parts(base)):
        fewest = ((text, len(PIECE.findall(text)) + 2, base.caption_tokens) for text in texts)
        return sorted((one for one in fewest if one[1] > one[2]), key=lambda one: -one[1])
    found: dict[str, tuple[int, int]] = {}
    for most, load in base.tokenizers():
        doubtful = [text for text in texts if len(text.encode()) + SPECIAL_TOKENS > most]
        if not doubtful:
            continue
        counts = _counted(load(), doubtful, tokens_in(doubtful) if experiment.training.method.learns else [])
        found |= {text: (n, most) for text, n in counts.items() if n > most}
    return sorted(((text, n, most) for text, (n, most) in found.items()), key=lambda one: -one[1])


def _counted(tokenizer: Any, texts: Sequence[str], new_tokens: Sequence[str]) -> dict[str, int]:
    tokenizer.add_tokens(list(new_tokens))
    return {text: len(tokenizer(text, verbose=False).input_ids) for text in texts}


def refuse_long_captions(experiment: Experiment, alternatives: Sequence[Sequence[Prompt]]) -> None:
    """DataError that names the longest caption, its tokens and how many are read.

    alternatives    prompts, one at least of each list of which comes to be
    """
    prompts = [prompt for several in alternatives for prompt in several]
    length = {text: (n, most) for text, n, most in longest_captions(experiment, prompts, fetch=True)}

    def tokens(text: str) -> int:
        return length.get(text, (0, 0))[0]

    least = [
        min((max((prompt.text, *prompt.variants), key=tokens) for prompt in several), key=tokens)
        for several in alternatives
    ]
    if long := [text for text in dict.fromkeys(least) if text in length]:
        text = max(long, key=tokens)
        n, most = length[text]
        more = f", and {len(long) - 1} more are too long" if len(long) > 1 else ""
        raise DataError(
            f"'{text}' has {n} tokens, the text encoder takes {most}{more}",
            hint="shorten the template or the names: the end would be cut off",
            field="prompts.template",
        )
