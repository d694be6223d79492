"""What is a new token in a caption, and what its file is called."""

import re
from collections.abc import Iterable

TOKENS = "tokens"
"""Folder of new tokens beside a pipeline."""
TOKEN = re.compile(r"<[^<>\s]+>")
"""What is a token of its own in a caption: <morph-7>."""


def tokens_in(texts: Iterable[str]) -> list[str]:
    """The new tokens that captions name, each once, sorted."""
    return sorted({token for text in texts for token in TOKEN.findall(text)})


def without_tokens(text: str) -> tuple[str, int]:
    """A caption without its new tokens, and how many there are, each of which is one to a text encoder."""
    return TOKEN.subn(" ", text)


def file_name(token: str) -> str:
    """What a token's file is called: morph-7 of <morph-7>."""
    return re.sub(r"[^\w.-]", "_", token.strip("<>"))
