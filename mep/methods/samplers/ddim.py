"""DDIM."""

from typing import Any, Literal

from pydantic import Field

from mep.methods.samplers import Sampler


class Ddim(Sampler):
    """First-order sampler (Song et al. 2021, arXiv:2010.02502); deterministic with eta 0."""

    kind: Literal["ddim"]
    eta: float = Field(0.0, ge=0, le=1)
    """Share of the noise of ancestral sampling (DDPM) that is added in every step."""

    def scheduler(self, config: Any) -> Any:
        from diffusers import DDIMScheduler

        return DDIMScheduler.from_config(config)

    def extras(self) -> dict[str, Any]:
        return {"eta": self.eta}
