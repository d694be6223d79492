"""Textual inversion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mep.methods.trainers import NewTokens, Trainer

if TYPE_CHECKING:
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.types import CLIPTextModel, Core


class TextualInversion(Trainer):
    """Trains new tokens of the captions and nothing else (Gal et al. 2022, arXiv:2208.01618).

    A caption names them: "stained tissue, <morph-{cluster}>". Each is saved as `load_textual_inversion` of diffusers
    reads it; the base stays as it is. Stable Diffusion 1 and 2 only.
    """

    kind: Literal["textual_inversion"]
    adapts: ClassVar[bool] = True
    new_tokens: NewTokens = NewTokens()

    def prepare(self, core: Core, text_encoder: CLIPTextModel | None) -> None:
        core.requires_grad_(False)

    def save(self, denoiser: Denoiser, folder: Path) -> None:
        """The tokens are saved as those of every trainer are."""
