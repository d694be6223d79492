"""The same number for every label, however many prompts it has."""

from typing import Literal

from pydantic import Field

from mep.allocations import Allocation
from mep.artifacts import Prompt


class PerLabel(Allocation):
    """A fixed number of images for every label, shared among its prompts by how many training images each captions.

    Arms whose captions differ then give the same number of images per label. Remainders go to the largest fractions
    (Hamilton's method), so that the numbers of a label add up exactly.
    """

    kind: Literal["per_label"]
    images: int = Field(ge=1)
    """Images for each label; in all, where the captions name no label."""

    def counts(self, prompts: list[Prompt]) -> list[int]:
        counts = [0] * len(prompts)
        for label in {prompt.label for prompt in prompts}:
            rows = [row for row, prompt in enumerate(prompts) if prompt.label == label]
            total = sum(prompts[row].n_images for row in rows)
            exact = {row: self.images * prompts[row].n_images / total for row in rows}
            for row in rows:
                counts[row] = int(exact[row])
            remainder = self.images - sum(counts[row] for row in rows)
            for row in sorted(rows, key=lambda row: (counts[row] - exact[row], row))[:remainder]:
                counts[row] += 1
        return counts
