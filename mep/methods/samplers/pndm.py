"""PNDM."""

from typing import Any, ClassVar, Literal

from mep.methods.samplers import Sampler


class Pndm(Sampler):
    """Linear multistep sampler (Liu et al. 2022, arXiv:2202.09778), the one saved with Stable Diffusion 1.5.

    Without the Runge-Kutta steps at the beginning, as there; makes one UNet pass more than it has steps.
    """

    kind: Literal["pndm"]
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "v_prediction")
    zero_snr: ClassVar[bool] = False

    def scheduler(self, config: Any) -> Any:
        from diffusers import PNDMScheduler

        return PNDMScheduler.from_config(config, skip_prk_steps=True)
