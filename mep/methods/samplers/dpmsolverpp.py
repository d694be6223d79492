"""DPM-Solver++."""

from typing import Any, Literal

from mep.methods.samplers import Sampler


class DpmSolverPlusPlus(Sampler):
    """Second-order multistep solver (Lu et al. 2022, arXiv:2211.01095); 20 to 25 steps are enough."""

    kind: Literal["dpmsolver++"]

    def scheduler(self, config: Any) -> Any:
        from diffusers import DPMSolverMultistepScheduler

        return DPMSolverMultistepScheduler.from_config(config, algorithm_type="dpmsolver++")
