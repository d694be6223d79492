"""Flow matching: straight paths from latents to noise, and a model that predicts their direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 1000
"""What diffusers multiplies times in [0, 1] by, before a model sees them."""


def is_flow(scheduler_config: Mapping[str, object]) -> bool:
    """Whether a scheduler of this configuration draws from a model of flow matching."""
    name = str(scheduler_config.get("_class_name", ""))
    return name.startswith("FlowMatch") or scheduler_config.get("prediction_type") == "flow_prediction"


def shift_of(scheduler_config: Mapping[str, object]) -> float:
    """How far times are moved towards noise; 1 is not at all."""
    found = scheduler_config.get("shift", scheduler_config.get("flow_shift", 1.0))
    return float(found) if isinstance(found, int | float) else 1.0


@dataclass(frozen=True)
class Flow:
    """The path (1 - s) · clean + s · noise at times 1000 s, float32 (b,), and its direction, noise - clean.

    Source      Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003; times and shift as in Esser et
                al. 2024, arXiv:2403.03206
    """

    scheduler_config: Mapping[str, object]

    def times(self, level: Tensor) -> Tensor:
        shift = shift_of(self.scheduler_config)
        return STEPS * shift * level / (1 + (shift - 1) * level)

    def add_noise(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        s = (times / STEPS).view(-1, *[1] * (clean.ndim - 1))
        return (1 - s) * clean + s * noise

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        return noise - clean

    def weights(self, times: Tensor) -> Tensor:
        import torch

        return torch.ones_like(times)
