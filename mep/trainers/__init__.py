"""Trainers: which weights are fine-tuned. One file, one way."""

from typing import TYPE_CHECKING, Any, ClassVar

from mep.registry import Method

if TYPE_CHECKING:
    from torch import nn


class Trainer(Method):
    """Chooses the trainable module of a pipeline."""

    noun: ClassVar[str] = "trainer"

    def prepare(self, pipeline: Any) -> "nn.Module":
        """The module whose parameters that require gradients are trained; every other weight is frozen."""
        raise NotImplementedError
