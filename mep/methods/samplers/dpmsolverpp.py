"""DPM-Solver++."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.samplers import Sampler


class DpmSolverPlusPlus(Sampler):
    """Second-order multistep solver (Lu et al. 2022, arXiv:2211.01095); 20 to 25 steps are enough."""

    kind: Literal["dpmsolver++"]
    scheduler: ClassVar[str] = "DPMSolverMultistepScheduler"
    flow: ClassVar[tuple[str, dict[str, str | bool | int]]] = (scheduler, {"algorithm_type": "dpmsolver++"})
    settings: ClassVar[dict[str, str | bool]] = {"algorithm_type": "dpmsolver++"}
