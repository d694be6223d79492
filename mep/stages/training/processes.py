"""The processes that train together, as accelerate sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mep.diffusion.loop import ProcessGroup
from mep.errors import EnvironmentLacks

if TYPE_CHECKING:
    from mep.machine.work import Work


class AccelerateGroup(ProcessGroup):
    """One process, or those that `accelerate launch` has started; precision stays with the recipe.

    n_images    images in an optimizer step, which the processes share

    EnvironmentLacks    there are fewer of them than processes
    """

    def __init__(self, work: Work, n_images: int):
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state()  # an arm before this one may have left another precision in it
        self.accelerator = Accelerator(cpu=work.device == "cpu", mixed_precision="no", device_placement=False)
        self.n = self.accelerator.num_processes
        self.rank = self.accelerator.process_index
        self.device = work.device
        self.is_main = bool(self.accelerator.is_main_process)
        self.sharded = work.machine.sharded and self.n > 1
        if self.n > n_images:
            raise EnvironmentLacks(
                f"{self.n} processes cannot share {n_images} images of an optimizer step",
                hint="start fewer processes, or raise training.global_batch_size",
            )

    def agree(self, number: int) -> int:
        if self.n == 1:
            return number
        from accelerate.utils import broadcast

        numbers: torch.Tensor = broadcast(torch.tensor(number, device=self.device))
        return int(numbers)
