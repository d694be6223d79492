"""An explicit table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from mep.errors import DataError, guess
from mep.methods.allocations import Allocation

if TYPE_CHECKING:
    from mep.artifacts import Prompt


class Table(Allocation):
    """A number for each prompt that is named, by its id (such as cancer_c03) or its text.

    Prompts that the table does not name get none. Since prompts differ between arms, it usually stands within an arm.
    """

    kind: Literal["table"]
    images: dict[str, Annotated[int, Field(ge=0, le=1_000_000_000)]] = Field(min_length=1)
    """Prompt -> number of images."""

    @field_validator("images")
    @classmethod
    def _some(cls, images: dict[str, int]) -> dict[str, int]:
        if not any(images.values()):
            raise ValueError("every number is 0: no image would be made")
        return images

    def counts(self, prompts: Sequence[Prompt], real: Sequence[int] = ()) -> list[int]:
        names = {prompt.id for prompt in prompts} | {prompt.text for prompt in prompts}
        for name in self.images:
            if name not in names:
                ids = [prompt.id for prompt in prompts]
                shown = ", ".join(ids[:12]) + (", ..." if len(ids) > 12 else "")
                hint = f"{guess(name, [*ids, *(prompt.text for prompt in prompts)])}known: {shown}"
                raise DataError(f"there is no prompt '{name}'", hint=hint, field="generation.allocation")
        return [self.images.get(prompt.id, self.images.get(prompt.text, 0)) for prompt in prompts]
