"""The caption alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mep.methods.conditionings import Conditioning

if TYPE_CHECKING:
    from mep.diffusion.cues import Cues


class Text(Conditioning):
    """Tells the model the caption and nothing else (Osorio et al. 2024, Diagnostics 14(13), 1442)."""

    kind: Literal["text"]

    @property
    def n_tokens(self) -> int:
        return 0

    def cues(self, images: Cues) -> None:
        return None
