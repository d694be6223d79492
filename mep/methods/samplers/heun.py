"""Heun's method."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.samplers import Sampler


class Heun(Sampler):
    """Second-order method with two UNet passes a step (Karras et al. 2022, arXiv:2206.00364, algorithm 1)."""

    kind: Literal["heun"]
    scheduler: ClassVar[str] = "HeunDiscreteScheduler"
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "v_prediction")
    zero_snr: ClassVar[bool] = False
