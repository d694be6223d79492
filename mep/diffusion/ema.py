"""The weights of a training: those that change, and their moving average."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class TrainedWeights:
    """The weights that training changes, as a checkpoint keeps them; all others come from the base."""

    def __init__(self, parameters: dict[str, nn.Parameter]):
        self.parameters = parameters

    def state_dict(self) -> dict[str, Tensor]:
        return {name: one.detach() for name, one in self.parameters.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, one in self.parameters.items():
                one.copy_(state[name])


class Average:
    """Exponential moving average of weights, in float32 whatever their type.

    The decay warms up as min(decay, (1 + t) / (10 + t)) over the steps t, as in diffusers' EMAModel.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float):
        self.parameters, self.decay, self.steps = list(parameters), decay, 0
        self.shadow = [one.detach().float().clone() for one in self.parameters] if decay else []

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        if not self.shadow:
            return
        t = self.steps - 1
        decay = min(self.decay, (1 + t) / (10 + t)) if t > 0 else 0.0
        weights = [one if one.dtype == torch.float32 else one.float() for one in self.parameters]
        torch._foreach_lerp_(self.shadow, weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in the place of the last ones; nothing is copied where both are float32."""
        raw = [one.data for one in self.parameters]
        for one, mean in zip(self.parameters, self.shadow, strict=False):
            one.data = mean.to(one.dtype)
        try:
            yield
        finally:
            for one, data in zip(self.parameters, raw, strict=True):
                one.data = data

    def keep(self) -> None:
        """Make the average the weights for good."""
        for one, mean in zip(self.parameters, self.shadow, strict=False):
            one.data.copy_(mean)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "shadow": self.shadow}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        if not self.shadow:
            return  # of several processes only the main one averages
        for mean, kept in zip(self.shadow, state["shadow"], strict=True):
            mean.copy_(kept)
