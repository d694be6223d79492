"""DDIM."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mep.methods.samplers import Sampler


class Ddim(Sampler):
    """First-order sampler (Song et al. 2021, arXiv:2010.02502); deterministic with eta 0."""

    kind: Literal["ddim"]
    scheduler: ClassVar[str] = "DDIMScheduler"
    settings: ClassVar[dict[str, str | bool]] = {"clip_sample": False}  # the default of diffusers, made for pixels
    eta: float = Field(0.0, ge=0, le=1)
    """Share of the noise of ancestral sampling (DDPM) that is added in every step."""

    def extras(self) -> dict[str, float]:
        return {"eta": self.eta}
