"""A number for each label and cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mep.methods.conditionings import Conditioning

if TYPE_CHECKING:
    from mep.diffusion.cues import Cues


class Class(Conditioning):
    """Tells the model which label and cluster an image has, through a learned table of a few tokens for each pair."""

    kind: Literal["class"]
    tokens: int = Field(4, ge=1, le=64)
    """Tokens that a pair has."""

    @property
    def n_tokens(self) -> int:
        return self.tokens

    def cues(self, images: Cues) -> Cues:
        return images.merged()
