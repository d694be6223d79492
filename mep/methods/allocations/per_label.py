"""The same number for every label, however many prompts it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mep.methods.allocations import Allocation, Share, apportion, weights_of

if TYPE_CHECKING:
    from mep.artifacts import Prompt


class PerLabel(Allocation):
    """A fixed number of images for every label, shared among its prompts.

    Arms whose captions differ then give the same number of images per label. Remainders go to the largest fractions
    (Hamilton's method), so that the numbers of a label add up exactly.
    """

    kind: Literal["per_label"]
    images: int = Field(ge=1, le=1_000_000_000)
    """Images for each label; in all, where the captions name no label."""
    share: Share = "training"
    """By what the prompts of a label share them: `training` images of each, `real` ones before balancing, `equal`."""

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        counts = [0] * len(prompts)
        weights = weights_of(self.share, prompts, real)
        for label in {prompt.label for prompt in prompts}:
            rows = [row for row, prompt in enumerate(prompts) if prompt.label == label]
            for row, count in zip(rows, apportion(self.images, [weights[row] for row in rows]), strict=True):
                counts[row] = count
        return counts
