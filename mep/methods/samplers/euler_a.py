"""Euler's method with ancestral noise."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.samplers import Sampler


class EulerAncestral(Sampler):
    """Euler's method that adds fresh noise in every step, from the image's own seed; more steps give other images."""

    kind: Literal["euler_a"]
    scheduler: ClassVar[str] = "EulerAncestralDiscreteScheduler"
    predictions: ClassVar[tuple[str, ...]] = ("epsilon", "v_prediction")
