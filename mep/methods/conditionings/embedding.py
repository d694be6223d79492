"""The vector of the image itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mep.methods.conditionings import Conditioning

if TYPE_CHECKING:
    from mep.diffusion.cues import Cues


class Embedding(Conditioning):
    """Tells the model the vector that the stage `embedding` made, through a learned projection to a few tokens.

    Source      self-supervised conditioning: Graikos et al. 2024, arXiv:2312.07330; Yellapragada et al. 2025 (PixCell),
                arXiv:2506.05127
    """

    kind: Literal["embedding"]
    also_reads: ClassVar[tuple[str, ...]] = ("embeddings",)
    vector: Literal["image", "centroid"] = "image"
    """That of the image; or the mean over the training images of its label and cluster, which is nobody's."""
    tokens: int = Field(4, ge=1, le=64)
    """Tokens that the vector becomes."""

    @property
    def n_tokens(self) -> int:
        return self.tokens

    def cues(self, images: Cues) -> Cues:
        return images if self.vector == "image" else images.merged()
