"""Conditionings: what a model is told of an image besides its caption. One file, one way."""

from typing import ClassVar

from mep.diffusion.cues import Cues
from mep.registry import Method


class Conditioning(Method):
    """Says what of an image the model is told, in tokens beside those of the caption."""

    noun: ClassVar[str] = "conditioning"
    file_names: ClassVar[dict[str, str]] = {"class": "classes"}
    also_reads: ClassVar[tuple[str, ...]] = ()
    """Artifacts that the stage `training` reads for it."""

    @property
    def n_tokens(self) -> int:
        """Tokens beside those of a caption."""
        raise NotImplementedError

    def cues(self, images: Cues) -> Cues | None:
        """What the model is told: a row for each image, or one for each label and cluster; None: nothing.

        images      a row for each training and validation image; with vectors where the method reads `embeddings`
        """
        raise NotImplementedError
