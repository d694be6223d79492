"""Allocations: how many images are generated for each prompt. One file, one rule."""

from typing import ClassVar

from mep.artifacts import Prompt
from mep.registry import Method


class Allocation(Method):
    """Prompts -> numbers of images."""

    noun: ClassVar[str] = "allocation"

    def counts(self, prompts: list[Prompt]) -> list[int]:
        """Images to generate for each prompt, in the order of the prompts."""
        raise NotImplementedError
