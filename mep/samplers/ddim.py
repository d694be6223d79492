"""DDIM."""

from typing import Any, Literal

from mep.samplers import Sampler


class Ddim(Sampler):
    """Deterministic first-order sampler (Song et al. 2021, arXiv:2010.02502)."""

    kind: Literal["ddim"]

    def scheduler(self, config: Any) -> Any:
        from diffusers import DDIMScheduler

        return DDIMScheduler.from_config(config)
