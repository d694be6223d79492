"""PNDM."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.samplers import Sampler


class Pndm(Sampler):
    """Linear multistep sampler (Liu et al. 2022, arXiv:2202.09778), the one saved with Stable Diffusion 1.5.

    Without the Runge-Kutta steps at the beginning, as there; makes one UNet pass more than it has steps.
    """

    kind: Literal["pndm"]
    scheduler: ClassVar[str] = "PNDMScheduler"
    settings: ClassVar[dict[str, str | bool]] = {"skip_prk_steps": True}
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "v_prediction")
    zero_snr: ClassVar[bool] = False
