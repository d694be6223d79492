"""A number in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mep.methods.allocations import Allocation, Share, apportion, weights_of

if TYPE_CHECKING:
    from mep.artifacts import Prompt


class Total(Allocation):
    """A fixed number of images in all, by default in proportion to how frequent a prompt's record really is.

    Cluster-conditioned models are sampled so (Adaloglou et al. 2024, arXiv:2403.00570).
    """

    kind: Literal["total"]
    images: int = Field(ge=1, le=1_000_000_000)
    """Images of all prompts together."""
    share: Share = "real"
    """By what prompts share them: `real` images before balancing, `training` images after it, or `equal`."""

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        return apportion(self.images, weights_of(self.share, prompts, real))
