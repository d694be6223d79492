"""Which samples there are. Nothing is kept for a sample, so that a plan of a million costs no memory."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Prompt

PER_FOLDER = 1000
"""Images in a folder; listing, copying and archiving stay quick with a million of them."""
SPLIT_WORDS = re.compile(r"(?<![a-z])(train|training|test|testing|eval|evaluation|val|valid|validation|dev)(?![a-z])")
"""`datasets` takes a folder with such a word in its name for a split, and leaves the other folders out."""


@dataclass(frozen=True)
class Sample:
    """One image to draw: its place in the dataset, prompt by prompt, and the seed of its noise."""

    number: int
    prompt: Prompt
    ordinal: int
    seed: int
    file_name: str


@dataclass(frozen=True)
class SamplePlan:
    """Every sample of a dataset; raising a prompt's count keeps the samples that were there.

    counts      images of each prompt
    seed_for    names -> seed, as `Work.seed_for`
    """

    prompts: Sequence[Prompt]
    counts: Sequence[int]
    seed_for: Callable[..., int]
    form: str = "png"

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Number of the first sample of each prompt, then how many there are in all."""
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Prompt's id -> its place among the prompts."""
        return {prompt.id: row for row, prompt in enumerate(self.prompts)}

    def __len__(self) -> int:
        return int(self.starts[-1])

    def sample(self, number: int) -> Sample:
        row = int(np.searchsorted(self.starts, number, side="right")) - 1
        prompt, ordinal = self.prompts[row], number - int(self.starts[row])
        name = file_name(prompt.id, ordinal, self.form)
        return Sample(number, prompt, ordinal, self.seed_for(prompt.id, ordinal), name)

    def find(self, prompt_id: str, ordinal: int) -> int | None:
        """Number of a sample; None where it is not in the plan."""
        row = self.row_of.get(prompt_id)
        return None if row is None or ordinal >= self.counts[row] else int(self.starts[row]) + ordinal

    def drawing_order(self) -> Iterator[int]:
        """All numbers, ordinal by ordinal: whenever a run is stopped, all prompts are equally far."""
        for ordinal in range(max(self.counts, default=0)):
            for row, count in enumerate(self.counts):
                if ordinal < count:
                    yield int(self.starts[row]) + ordinal


def folder_name(prompt_id: str) -> str:
    """The prompt's id, made safe for `datasets`."""
    return SPLIT_WORDS.sub(r"\1x", prompt_id)


def file_name(prompt_id: str, ordinal: int, form: str) -> str:
    """Where a sample lies in its dataset: images/<prompt>/<thousand>/<ordinal>.<form>."""
    return f"images/{folder_name(prompt_id)}/{ordinal // PER_FOLDER:04d}/{ordinal:07d}.{form}"
