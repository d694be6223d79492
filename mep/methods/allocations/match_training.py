"""As many as the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mep.methods.allocations import Allocation

if TYPE_CHECKING:
    from mep.artifacts import Prompt


class MatchTraining(Allocation):
    """For every prompt as many images as it captions in the training set, or a multiple of that."""

    kind: Literal["match_training"]
    times: float = Field(1.0, gt=0, le=10_000)
    """Generated images for every training image, rounded to whole images per prompt, at least one."""

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        return [max(1, round(prompt.n_images * self.times)) for prompt in prompts]
