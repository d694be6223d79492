"""Optimizers and learning rate schedules by name, and steps of bfloat16 weights that do not round to nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from mep.diffusion.checkpoints import State
from mep.diffusion.denoiser import EMA
from mep.machine.random_bits import random_16_bits
from mep.sections.training import TrainingConfig

GROUP = 2**25
"""Numbers of low precision that are held in float32 at once, while they are stepped: 128 MB, and their gradients."""


def build_optimizer(
    config: TrainingConfig, parameters: Sequence[nn.Parameter]
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """The optimizer and the learning rate schedule that a recipe names."""
    from diffusers.optimization import get_scheduler

    low_precision = any(parameter.dtype != torch.float32 for parameter in parameters)
    groups: Any = groups_of(parameters) if low_precision else list(parameters)
    optimizer: torch.optim.Optimizer = MAKERS[config.optimizer](config, groups)
    has_own = config.optimizer == "schedule_free"
    warms_up = config.schedule == "constant" and config.warmup_steps and not has_own
    schedule = get_scheduler(
        "constant_with_warmup" if warms_up else config.schedule,
        optimizer,
        num_warmup_steps=config.warmup_steps,
        num_training_steps=config.steps,
    )
    if low_precision:  # the wrapper has all methods that a training calls
        optimizer = cast(torch.optim.Optimizer, StochasticRounding(optimizer))
    return optimizer, schedule


def _adamw(config: TrainingConfig, groups: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _adamw_8bit(config: TrainingConfig, groups: Any) -> Any:
    import bitsandbytes

    return bitsandbytes.optim.AdamW8bit(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def _adafactor(config: TrainingConfig, groups: Any) -> torch.optim.Optimizer:
    from transformers.optimization import Adafactor

    fixed = {"scale_parameter": False, "relative_step": False, "warmup_init": False}  # the schedule sets the rate
    return Adafactor(groups, lr=config.learning_rate, weight_decay=config.weight_decay, **fixed)


def _prodigy(config: TrainingConfig, groups: Any) -> Any:
    from prodigyopt import Prodigy

    whole = [{"params": groups, "weight_decay": config.weight_decay}]  # it prints what its own argument says
    warm = bool(config.warmup_steps)
    return Prodigy(whole, lr=config.learning_rate, use_bias_correction=True, safeguard_warmup=warm)


def _schedule_free(config: TrainingConfig, groups: Any) -> Any:
    from schedulefree import AdamWScheduleFree

    rates = {"lr": config.learning_rate, "warmup_steps": config.warmup_steps}
    optimizer = AdamWScheduleFree(groups, **rates, weight_decay=config.weight_decay)
    optimizer.train()  # and so it stays: `ScheduleFreeMean` gives the weights to evaluate without touching these
    return optimizer


MAKERS: dict[str, Callable[[TrainingConfig, Any], Any]] = {
    "adamw": _adamw,
    "adamw_8bit": _adamw_8bit,
    "adafactor": _adafactor,
    "prodigy": _prodigy,
    "schedule_free": _schedule_free,
}


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The learning rate of the step to come."""
    group = optimizer.param_groups[0]
    warmup = group.get("warmup_steps", 0)
    share = min(1.0, (group["k"] + 1) / warmup) if warmup else 1.0
    return float(group["lr"] * group.get("d", 1.0) * share)


class ScheduleFreeMean(EMA):
    """The average that a schedule-free optimizer keeps: what its weights are evaluated with.

    The optimizer's own way there and back (its `eval` and `train`) rounds the weights, so that a training that is
    looked at would take other steps. Here they stay as they are.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer):
        super().__init__(parameters, 0.0)
        self.optimizer = optimizer

    @contextmanager
    def applied(self) -> Iterator[None]:
        means = {}
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                if "z" in self.optimizer.state[weight]:
                    step = 1 - 1 / group["betas"][0]
                    means[weight] = weight.detach().float().lerp(self.optimizer.state[weight]["z"].float(), step)
        self.shadow = [means.get(weight, weight.detach()) for weight in self.parameters]
        try:
            with super().applied():
                yield
        finally:
            self.shadow = []


class StochasticRounding:
    """Steps an optimizer on weights of low precision, one group at a time in float32, and rounds back at random.

    An update below half a unit in the last place of a bfloat16 weight (a 256th of its value) would be lost when
    rounded to nearest; rounded up or down in proportion it is kept on average (Zamirai et al. 2020, arXiv:2010.06192).
    """

    def __init__(self, optimizer: torch.optim.Optimizer):
        self.inner = optimizer

    @property
    def state(self) -> Any:
        return self.inner.state

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
