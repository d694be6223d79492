"""Samplers: from noise to a latent in a number of steps. One file, one sampler."""

from typing import Any, ClassVar

from pydantic import Field

from mep.registry import Method


class Sampler(Method):
    """Solves the reverse diffusion."""

    noun: ClassVar[str] = "sampler"

    steps: int = Field(25, ge=1, le=1000)
    """Denoising steps, each one UNet pass (two with guidance)."""

    def scheduler(self, config: Any) -> Any:
        """The diffusers scheduler, made from the configuration of the one that the model was trained with."""
        raise NotImplementedError
