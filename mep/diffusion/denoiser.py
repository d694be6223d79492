"""The module that is trained, the weights of it that change, and their moving average."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from mep.diffusion.checkpoints import State
from mep.diffusion.conditioner import Conditioner
from mep.diffusion.families import Condition, Family
from mep.diffusion.types import CLIPTextModel, Core


class Denoiser(nn.Module):
    """The part of a pipeline that removes noise, and as one module with it what is trained too: the text encoder, and
    what makes tokens of cues."""

    def __init__(
        self,
        family: Family,
        core: Core,
        text_encoder: CLIPTextModel | None = None,
        conditioner: Conditioner | None = None,
    ):
        super().__init__()
        self.family = family
        self.add_module(family.core, core)
        self.text_encoder = text_encoder
        self.conditioner = conditioner

    @property
    def core(self) -> Core:
        return cast(Core, self.get_submodule(self.family.core))

    def forward(self, noisy: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """What is predicted for noisy latents, float (b, c, h, w) both, at times (b,).

        condition   what the captions say, or their tokens where the text encoder is trained; and `cues` beside them
        """
        dtype = self.core.dtype
        said = {name: values.to(dtype) for name, values in self.encode(condition).items()}
        return self.family.predict(self.core, noisy.to(dtype), times, said)

    def encode(self, condition: Condition) -> Condition:
        """What captions and cues say, which captions do already where the text encoder is not trained."""
        said = condition if self.text_encoder is None else self.family.encode_tokens(self.text_encoder, condition)
        if self.conditioner is None:
            return said
        of_captions = {name: values for name, values in said.items() if name != "cues"}
        return self.family.with_tokens(of_captions, self.conditioner(condition["cues"]))

    def parts(self) -> list[tuple[str, Core | CLIPTextModel]]:
        """The parts of the pipeline that it holds, by their names there."""
        text_encoder = self.text_encoder
        return [(self.family.core, self.core)] + ([] if text_encoder is None else [("text_encoder", text_encoder)])

    def trained(self) -> dict[str, nn.Parameter]:
        """Parameters that require gradients, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


class TrainedWeights:
    """The weights that training changes, as a checkpoint keeps them; all others come from the base."""

    def __init__(self, parameters: dict[str, nn.Parameter]):
        self.parameters = parameters

    def state_dict(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
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
        t, self.steps = self.steps, self.steps + 1
        if not self.shadow:
            return
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
