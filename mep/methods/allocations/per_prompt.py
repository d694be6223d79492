"""The same number for every prompt."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from mep.artifacts import Prompt
from mep.methods.allocations import Allocation


class PerPrompt(Allocation):
    """A fixed number of images for every prompt."""

    kind: Literal["per_prompt"]
    images: int = Field(ge=1, le=1_000_000_000)
    """Images for each prompt."""

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        return [self.images] * len(prompts)
