"""UniPC."""

from __future__ import annotations

from typing import ClassVar, Literal

from mep.methods.samplers import Sampler


class UniPc(Sampler):
    """Unified predictor-corrector (Zhao et al. 2023, arXiv:2302.04867); good with as few as 10 steps."""

    kind: Literal["unipc"]
    scheduler: ClassVar[str] = "UniPCMultistepScheduler"
    flow: ClassVar[tuple[str, dict[str, str | bool | int]]] = (scheduler, {})
