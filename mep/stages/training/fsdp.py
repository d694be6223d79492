"""One model over several processes, each holding a part of every weight, of its gradient, of its average and of what
the optimizer remembers (FSDP: Zhao et al. 2023, arXiv:2304.11277).

Checkpoints hold whole tensors, so that a training goes on from them with any number of processes, in parts or not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mep.diffusion.ema import Average

if TYPE_CHECKING:
    from collections.abc import Callable

    from mep.diffusion.checkpoints import Stateful
    from mep.diffusion.denoiser import Denoiser
    from mep.stages.training.validation import Watch


def shard(denoiser: Denoiser, device: str) -> None:
    """Leave this process its part of every weight, on the device; a block of the UNet is put together only while it
    computes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.split(":")[0], (int(os.environ["WORLD_SIZE"]),))
    blocks = [*denoiser.unet.down_blocks, denoiser.unet.mid_block, *denoiser.unet.up_blocks]
    for module in [*(one for one in blocks if one is not None), denoiser]:
        fully_shard(module, mesh=mesh)


def gathered(value: Any) -> Any:
    """Every tensor of which processes have parts, whole and on the CPU of the main one; the others keep None.

    All processes call this alike.
    """
    from torch.distributed import get_rank
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.cpu() if get_rank() == 0 else None
    if isinstance(value, dict):
        return {key: gathered(one) for key, one in value.items()}
    return [gathered(one) for one in value] if isinstance(value, list) else value


def scattered(value: Any, like: Any) -> Any:
    """Of whole tensors this process's parts, where that is what it has of them now."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(like, DTensor):
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    if isinstance(value, dict):
        return {key: scattered(one, like[key]) for key, one in value.items()}
    return [scattered(*pair) for pair in zip(value, like, strict=True)] if isinstance(value, list) else value


class Whole:
    """State of which every process has a part, whole in a checkpoint."""

    def __init__(self, inner: Stateful):
        self.inner = inner

    def state_dict(self) -> dict[str, Any]:
        return dict(gathered(self.inner.state_dict()))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(scattered(state, self.inner.state_dict()))


class WholeOptimizer(Whole):
    """What an optimizer remembers: tensors of a weight's own shape are cut as the weight is, numbers are not."""

    inner: Any

    def load_state_dict(self, state: dict[str, Any]) -> None:
        weights = [one for group in self.inner.param_groups for one in group["params"]]

        def own(value: Any, weight: Tensor) -> Any:
            return scattered(value, weight.detach()) if value.shape == weight.shape else value

        parts = {
            index: {name: own(value, weights[index]) for name, value in entry.items()}
            for index, entry in state["state"].items()
        }
        self.inner.load_state_dict(state | {"state": parts})


class WatchWhole:
    """Looks at the whole model, which the main process puts together for as long as it looks."""

    def __init__(self, watch: Watch, whole: Callable[[], tuple[Denoiser, Average] | None], device: str):
        self.watch, self.whole, self.device = watch, whole, device

    def rewind(self, done: int) -> None:
        self.watch.rewind(done)

    def wants(self, done: int) -> bool:
        return self.watch.wants(done)

    def look(self, done: int) -> None:
        found = self.whole()
        if found is not None:
            denoiser, average = found
            average.keep()  # before it goes to the device, which then need not hold both
            self.watch.denoiser, self.watch.average = denoiser.to(self.device), Average([], 0.0)
            self.watch.look(done)
            del self.watch.denoiser, self.watch.average

    def publish(self) -> None:
        self.watch.publish()
