"""The processes that train together, as accelerate sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mep.errors import EnvironmentLacks

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mep.machine.work import Work


def accelerator_of(work: Work, images: int) -> Accelerator:
    """One process, or those that `accelerate launch` has started; precision stays with the recipe.

    images      of an optimizer step

    EnvironmentLacks    there are fewer of them than processes
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # an arm before this one may have left another precision in it
    accelerator = Accelerator(cpu=work.device == "cpu", mixed_precision="no", device_placement=False)
    if accelerator.num_processes > images:
        raise EnvironmentLacks(
            f"{accelerator.num_processes} processes cannot share {images} images of an optimizer step",
            hint="start fewer processes, or raise training.global_batch_size",
        )
    return accelerator


class Team:
    """Agrees by asking the main process."""

    def __init__(self, accelerator: Accelerator, device: str, *, sharded: bool):
        self.several, self.device = accelerator.num_processes > 1, device
        self.is_main = bool(accelerator.is_main_process)
        self.sharded = sharded and self.several

    def agree(self, number: int) -> int:
        if not self.several:
            return number
        from accelerate.utils import broadcast

        said: Any = broadcast(torch.tensor(number, device=self.device))
        return int(said)
