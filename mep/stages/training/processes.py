"""The processes that train together, and a model that is split over them (FSDP: Zhao et al. 2023, arXiv:2304.11277)."""

import os
from datetime import timedelta

import torch
from torch import Tensor, distributed
from torch.optim import Optimizer

from mep.diffusion.checkpoints import State, Stateful
from mep.diffusion.denoiser import Denoiser
from mep.diffusion.loop import ProcessGroup
from mep.errors import EnvironmentLacks
from mep.machine.work import Work

LONGEST_LOOK = timedelta(hours=6)
"""Time that processes wait for the one that evaluates the model."""


class AccelerateGroup(ProcessGroup):
    """One process, or those that `accelerate launch` has started, which share the images of an optimizer step."""

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

        # on the hosts: to ask the devices would let them run dry in every step, and a collective of NCCL that waits
        # while the main process evaluates is ended after ten minutes
        self.hosts = distributed.new_group(backend="gloo", timeout=LONGEST_LOOK) if self.n > 1 else None

    def agree(self, number: int) -> int:
        if self.n == 1:
            return number
        said = torch.tensor(number)
        distributed.broadcast(said, src=0, group=self.hosts)
        return int(said)


def shard(denoiser: Denoiser, device: str) -> None:
    """Keep only this process's part of every weight, on the device; a block is gathered while it runs."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.split(":")[0], (int(os.environ["WORLD_SIZE"]),))
    for module in [*denoiser.family.blocks(denoiser.core), denoiser]:
        fully_shard(module, mesh=mesh)


def gather(value: object) -> object:
    """The same value with every sharded tensor made whole on the CPU of the main process; all processes call this."""
    from torch.distributed import get_rank
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.cpu() if get_rank() == 0 else None
    if isinstance(value, dict):
        return {key: gather(item) for key, item in value.items()}
    return [gather(item) for item in value] if isinstance(value, list) else value


def scatter(value: object, like: object) -> object:
    """The same value with whole tensors cut to this process's part, wherever `like` has a sharded tensor."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(value, Tensor) and isinstance(like, DTensor):
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: scatter(item, like[key]) for key, item in value.items()}
    if isinstance(value, list) and isinstance(like, list):
        return [scatter(*pair) for pair in zip(value, like, strict=True)]
    return value


class GatheredState:
    """State that is sharded in memory and whole in a checkpoint, which any number of processes can go on from."""

    def __init__(self, inner: Stateful):
        self.inner = inner

    def state_dict(self) -> State:
        return {name: gather(value) for name, value in self.inner.state_dict().items()}

    def load_state_dict(self, state: State) -> None:
        current = self.inner.state_dict()
        self.inner.load_state_dict({name: scatter(value, current[name]) for name, value in state.items()})


class GatheredOptimizer(GatheredState):
    """An optimizer's state: tensors in the shape of a weight are cut as the weight is, other values stay whole."""

    inner: Optimizer

    def load_state_dict(self, state: State) -> None:
        weights = [weight for group in self.inner.param_groups for weight in group["params"]]

        def cut(value: Tensor, weight: Tensor) -> object:
            return scatter(value, weight.detach()) if value.shape == weight.shape else value

        entries = {
            index: {name: cut(value, weights[index]) for name, value in entry.items()}
            for index, entry in state["state"].items()
        }
        self.inner.load_state_dict(state | {"state": entries})
