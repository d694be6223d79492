"""Tokens that a text encoder does not know yet: each is one more row of its embedding, and only these are trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from mep.diffusion.token_names import file_name

if TYPE_CHECKING:
    from mep.diffusion.types import CLIPTextModel


class GrownEmbedding(nn.Module):
    """An embedding as it was, and after its last row those of new tokens (Gal et al. 2022, arXiv:2208.01618).

    begin       float (d,)      what every new token begins with
    """

    def __init__(self, old: nn.Embedding, tokens: Sequence[str], begin: Tensor):
        super().__init__()
        self.old, self.tokens = old.requires_grad_(False), list(tokens)
        self.new = nn.Parameter(begin.detach().float().repeat(len(self.tokens), 1))

    def forward(self, numbers: Tensor) -> Tensor:
        """int64 (b, n) -> float (b, n, d)."""
        n_old = self.old.num_embeddings
        known = self.old(numbers.clamp(max=n_old - 1))
        added = self.new[(numbers - n_old).clamp(min=0)].to(known.dtype)
        return torch.where((numbers >= n_old)[..., None], added, known)


def grow(text_encoder: CLIPTextModel, tokenizer: Any, tokens: Sequence[str], word: str) -> None:
    """Let a text encoder, which else stays as it is, know new tokens that begin with the meaning of a word."""
    old = cast(nn.Embedding, text_encoder.get_input_embeddings())
    numbers = torch.tensor(tokenizer(word, add_special_tokens=False).input_ids, device=old.weight.device)
    text_encoder.set_input_embeddings(GrownEmbedding(old, tokens, old.weight[numbers].float().mean(0)))


def save_tokens(text_encoder: CLIPTextModel, folder: Path) -> None:
    """Write each new token into a file of its own, as `load_textual_inversion` reads it."""
    from safetensors.torch import save_file

    grown = text_encoder.get_input_embeddings()
    if not isinstance(grown, GrownEmbedding):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for token, row in zip(grown.tokens, grown.new.detach().cpu(), strict=True):
        save_file({token: row.clone()}, folder / f"{file_name(token)}.safetensors")
