"""The processes that train together, as accelerate sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mep.stage import Work


def accelerator_of(work: Work) -> Accelerator:
    """One process, or those that `accelerate launch` has started; precision stays with the recipe."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # an arm before this one may have left another precision in it
    return Accelerator(cpu=work.device == "cpu", mixed_precision="no", device_placement=False)


class Team:
    """Agrees by asking the main process."""

    def __init__(self, accelerator: Accelerator, device: str):
        self.several, self.device = accelerator.num_processes > 1, device
        self.is_main = bool(accelerator.is_main_process)

    def agree(self, number: int) -> int:
        if not self.several:
            return number
        from accelerate.utils import broadcast

        said: Any = broadcast(torch.tensor(number, device=self.device))
        return int(said)
