"""This machine."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import Field

from mep.errors import EnvironmentLacks
from mep.machine.devices import resolve_device
from mep.machine.engines import MIN_PIECES, Engine, ItemT, ResultT
from mep.machine.jobs import Job, Look, Say, Stop, run_in_process, silent
from mep.machine.workers import WorkerSlot, share_cores


class Local(Engine):
    """This process, or several of this machine: one for each GPU, or CPU processes pinned to cores of their own."""

    kind: Literal["local"]
    processes: int | None = Field(None, ge=1, le=1024)
    """Processes that run models. Default: one for each GPU that is there; on a CPU one, which uses all its cores."""

    def map_unordered(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], *, device: str, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        slots = self.slots(device)
        if len(slots) == 1:
            return run_in_process(job, items, slots[0].device, stop)
        return _pool(job, items, slots, stop)

    def map_side_by_side(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, look: Look, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        from mep.machine.worker_pool import WorkerPool

        pool = WorkerPool(job, items, ahead=0)
        return pool.run(Local(kind="local", processes=n).slots(device), lambda: look(pool.leases.any_out))

    def map_cpu(
        self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        n = min(self.workers, len(items) // MIN_PIECES)
        if n < 2:
            return run_in_process(job, items, "cpu", stop)
        return _pool(job, items, [WorkerSlot("cpu", cores) for cores in share_cores(n)], stop)

    def slots(self, device: str) -> list[WorkerSlot]:
        """Where the workers run. GPUs are shared where there are more processes than GPUs.

        EnvironmentLacks    the device is not there
        """
        device = resolve_device(device)
        if device == "cpu":
            return [WorkerSlot("cpu", cores) for cores in share_cores(self.processes or 1)]
        if device == "mps":
            return [WorkerSlot("mps")] * (self.processes or 1)
        import torch

        present = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        devices = [name for name in present if device in ("cuda", name)]
        if not devices:
            raise EnvironmentLacks(
                f"device {device} is not here: torch sees {len(present)} CUDA devices",
                hint="set machine.device to cpu, or to auto for what is there",
            )
        return [WorkerSlot(devices[number % len(devices)]) for number in range(self.processes or len(devices))]


def _pool(
    job: Job[ItemT, ResultT], items: Iterable[ItemT], slots: Iterable[WorkerSlot], stop: Stop
) -> Iterator[tuple[int, ResultT]]:
    from mep.machine.worker_pool import WorkerPool  # here: reading a recipe starts no process

    return WorkerPool(job, items).run(slots, stop)
