"""The same number for every prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mep.methods.allocations import Allocation

if TYPE_CHECKING:
    from mep.artifacts import Prompt


class PerPrompt(Allocation):
    """A fixed number of images for every prompt."""

    kind: Literal["per_prompt"]
    images: int = Field(ge=1, le=1_000_000_000)
    """Images for each prompt."""

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        return [self.images] * len(prompts)
