"""Euler's method."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.samplers import Sampler


class Euler(Sampler):
    """Euler's method on the probability flow (Karras et al. 2022, arXiv:2206.00364, without churn)."""

    kind: Literal["euler"]
    scheduler: ClassVar[str] = "EulerDiscreteScheduler"
    # of a straight path DPM-Solver++ of first order makes the steps of Euler
    flow: ClassVar[tuple[str, dict[str, str | bool | int]]] = ("DPMSolverMultistepScheduler", {"solver_order": 1})
