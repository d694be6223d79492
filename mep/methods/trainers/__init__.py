"""Trainers: which weights are fine-tuned. One file, one way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mep.config import Config
from mep.registry import Method

if TYPE_CHECKING:
    from torch import nn

    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.types import CLIPTextModel, Core


class NewTokens(Config):
    """Words in angle brackets, <morph-7>, become tokens of their own, whose embedding is trained."""

    begin: str = Field("image", min_length=1)
    """Word whose meaning every new token begins with: tissue, or radiograph."""


class Trainer(Method):
    """Chooses the trained weights, and writes them."""

    noun: ClassVar[str] = "trainer"
    replaces: ClassVar[tuple[str, ...]] = ()
    """Parts of the pipeline folder that `save` writes anew; the others are those of the base."""

    adapts: ClassVar[bool] = False
    """Whether `save` writes a change of the base, for the pipeline to load, and not the whole."""

    @property
    def learns(self) -> NewTokens | None:
        """How new tokens are learned; None where captions have none."""
        return getattr(self, "new_tokens", None)

    def check(self, core: nn.Module) -> None:
        """DataError where these weights cannot be chosen in such a core, which may be without weights (meta)."""

    def prepare(self, core: Core, text_encoder: CLIPTextModel | None) -> None:
        """Let exactly the trained parameters require gradients; the text encoder is None where it stays as it is."""
        raise NotImplementedError

    def save(self, denoiser: Denoiser, folder: Path) -> None:
        """Write the weights as they are now below a folder."""
        raise NotImplementedError
