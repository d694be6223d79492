"""Optimizers and learning rate schedules by name, and steps of bfloat16 weights that do not round to nothing."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from mep.diffusion.checkpoints import State
from mep.errors import EnvironmentLacks
from mep.machine.random_bits import random_16_bits
from mep.stages.training.config import TrainingConfig

GROUP = 2**25
"""Numbers of low precision that are held in float32 at once, while they are stepped: 128 MB, and their gradients."""


def build_optimizer(
    config: TrainingConfig, parameters: Sequence[nn.Parameter]
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """The optimizer and the learning rate schedule that a recipe names."""
    from diffusers.optimization import get_scheduler

    low_precision = any(parameter.dtype != torch.float32 for parameter in parameters)
    groups: Any = groups_of(parameters) if low_precision else list(parameters)
    common: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, fused=True, **common)
    elif config.optimizer == "adamw_8bit":
        optimizer = bitsandbytes().optim.AdamW8bit(groups, **common)
    else:
        from transformers.optimization import Adafactor

        fixed = {"scale_parameter": False, "relative_step": False, "warmup_init": False}  # the schedule sets the rate
        optimizer = Adafactor(groups, **common, **fixed)
    schedule = get_scheduler(
        config.schedule, optimizer, num_warmup_steps=config.warmup_steps, num_training_steps=config.steps
    )
    if low_precision:  # the wrapper has all methods that a training calls
        optimizer = cast(torch.optim.Optimizer, StochasticRounding(optimizer))
    return optimizer, schedule


def bitsandbytes() -> Any:
    try:
        import bitsandbytes as package
    except ImportError as error:
        raise EnvironmentLacks(
            "training.optimizer: adamw_8bit needs the package bitsandbytes, which is not installed",
            hint="pip install 'mep[gpu]', or take optimizer: adafactor, which needs as little memory",
        ) from error
    return package


class StochasticRounding:
    """Steps an optimizer on weights of low precision, one group at a time in float32, and rounds back at random.

    An update below half a unit in the last place of a bfloat16 weight (a 256th of its value) would be lost when
    rounded to nearest; rounded up or down in proportion it is kept on average (Zamirai et al. 2020, arXiv:2010.06192).
    """

    def __init__(self, optimizer: torch.optim.Optimizer):
        self.inner = optimizer

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.inner.param_groups

    @torch.no_grad()
    def step(self) -> None:
        groups = self.inner.param_groups
        seed, start = int(torch.randint(2**62, ())), 0  # the step has seeded torch's own generator, on the CPU
        for group in groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            contents = [weight.data for weight in weights]
            for weight in weights:
                gradient, weight.grad = weight.grad, None
                weight.data = weight.data.float()
                weight.grad = gradient.float()
            self.inner.param_groups = [group]
            self.inner.step()
            updated = [weight.data for weight in weights]
            for weight, content in zip(weights, contents, strict=True):
                weight.grad, weight.data = None, content
            start = round_stochastically(updated, contents, seed=seed, start=start)
        self.inner.param_groups = groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.inner.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> State:
        return self.inner.state_dict()

    def load_state_dict(self, state: State) -> None:
        """Show torch float32 weights while it loads: it casts the state, which is float32, to the type of a weight."""
        weights = [weight for group in self.param_groups for weight in group["params"]]
        contents = [weight.data for weight in weights]
        for weight in weights:
            weight.data = torch.empty(0, dtype=torch.float32, device=weight.device)
        self.inner.load_state_dict(state)
        for weight, data in zip(weights, contents, strict=True):
            weight.data = data


def groups_of(parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
    """Parameters in their order, in groups of about GROUP numbers."""
    groups: list[list[nn.Parameter]] = [[]]
    for parameter in parameters:
        if groups[-1] and sum(one.numel() for one in groups[-1]) + parameter.numel() > GROUP:
            groups.append([])
        groups[-1].append(parameter)
    return [{"params": group} for group in groups]


def round_stochastically(values: Sequence[Tensor], into: Sequence[Tensor], *, seed: int, start: int = 0) -> int:
    """Write float32 numbers into bfloat16 tensors, up or down with the probability that keeps the mean.

    A bfloat16 is the upper half of a float32: a random number below 2^16 is added to the lower half, which is then cut.
    Tensors of other types get theirs as they are. The random numbers are made on the device of the values.

    start       word of the sequence of random words after which to begin
    returns     the word to begin after the next time
    """
    pairs = list(zip(values, into, strict=True))
    for value, target in pairs:
        if target.dtype != torch.bfloat16:
            target.copy_(value)
    low = [(value, target) for value, target in pairs if target.dtype == torch.bfloat16]
    flat = torch.cat([value.reshape(-1) for value, _ in low]) if low else torch.empty(0)
    noise = random_16_bits(len(flat), seed=seed, start=start, device=flat.device)
    rounded = (flat.view(torch.int32).add_(noise) & -65536).view(torch.float32)
    parts = rounded.split([value.numel() for value, _ in low])
    shaped = [part.view(value.shape) for part, (value, _) in zip(parts, low, strict=True)]
    if low:
        torch._foreach_copy_([target for _, target in low], shaped)
    return start + -(-len(flat) // 4)
