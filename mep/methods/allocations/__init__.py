"""Allocations: how many images are generated for each prompt. One file, one rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from mep.registry import Method

if TYPE_CHECKING:
    from mep.artifacts import Prompt

Share = Literal["training", "real", "equal"]
"""By what a total is shared among prompts: the training images that each captions, after balancing; the real training
images of its label and cluster, before balancing; or equally."""


class Allocation(Method):
    """Prompts -> numbers of images."""

    noun: ClassVar[str] = "allocation"

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        """Images to generate for each prompt; `real` counts the training images of its record before balancing."""
        raise NotImplementedError


def weights_of(share: Share, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
    """Relative size of each prompt's part."""
    if share == "real":
        return list(real)
    return [prompt.n_images if share == "training" else 1 for prompt in prompts]


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers that add up to the total, in proportion to the weights by Hamilton's method: largest fractions."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    counts = [total * weight // whole for weight in weights]
    fractions = [total * weight % whole for weight in weights]
    for row in sorted(range(len(weights)), key=lambda row: (-fractions[row], row))[: total - sum(counts)]:
        counts[row] += 1
    return counts
