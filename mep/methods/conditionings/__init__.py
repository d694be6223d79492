"""Conditionings: what a model is told of an image besides its caption. One file, one way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mep.registry import Method

if TYPE_CHECKING:
    from mep.diffusion.cues import Cues


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
