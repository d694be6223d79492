"""Euler's method."""

from typing import Any, Literal

from mep.methods.samplers import Sampler


class Euler(Sampler):
    """Euler's method on the probability flow (Karras et al. 2022, arXiv:2206.00364, without churn)."""

    kind: Literal["euler"]

    def scheduler(self, config: Any) -> Any:
        from diffusers import EulerDiscreteScheduler

        return EulerDiscreteScheduler.from_config(config)
