"""The weights of a training: those that change, and their moving average."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mep.diffusion.checkpoints import State


class TrainedWeights:
    """The weights that training changes, as a checkpoint keeps them; all others come from the base."""

    def __init__(self, parameters: dict[str, nn.Parameter]):
        self.parameters = parameters

    def state_dict(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state[name])


class EMA:
    """Exponential moving average of weights, in float32 whatever their type.

    The decay warms up as min(decay, (1 + t) / (10 + t)) over the steps t, as in diffusers' EMAModel. With a decay of 0
    there is no average: the weights stay as they are.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float):
        self.parameters, self.decay, self.steps = list(parameters), decay, 0
        self.shadow = [parameter.detach().float().clone() for parameter in self.parameters] if decay else []

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        if not self.shadow:
            return
        t = self.steps - 1
        decay = min(self.decay, (1 + t) / (10 + t)) if t > 0 else 0.0
        weights = [weight if weight.dtype == torch.float32 else weight.float() for weight in self.parameters]
        torch._foreach_lerp_(self.shadow, weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in the place of the last ones; nothing is copied where both are float32."""
        last = [parameter.data for parameter in self.parameters]
        for parameter, mean in zip(self.parameters, self.shadow, strict=False):
            parameter.data = mean.to(parameter.dtype)
        try:
            yield
        finally:
            for parameter, data in zip(self.parameters, last, strict=True):
                parameter.data = data

    def keep(self) -> None:
        """Make the average the weights for good."""
        for parameter, mean in zip(self.parameters, self.shadow, strict=False):
            parameter.data.copy_(mean)

    def state_dict(self) -> State:
        return {"steps": self.steps, "shadow": self.shadow}

    def load_state_dict(self, state: State) -> None:
        self.steps = state["steps"]
        if not self.shadow:
            return  # of several processes only the main one averages
        for mean, saved in zip(self.shadow, state["shadow"], strict=True):
            mean.copy_(saved)
