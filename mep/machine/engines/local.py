"""This machine."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Literal

from pydantic import Field

from mep.errors import EnvironmentLacks
from mep.machine.devices import WorkerSlot, resolve_device, share_cores
from mep.machine.engines import MIN_PIECES, Engine, ItemT, ResultT
from mep.machine.jobs import Job, Stop, run_in_process
from mep.machine.leases import Leases
from mep.machine.versions import check_versions


class Local(Engine):
    """This process, or several of this machine: one for each GPU, or CPU processes pinned to cores of their own."""

    kind: Literal["local"]
    processes: int | None = Field(None, ge=1, le=1024)
    """Processes that run models. Default: one for each GPU that is there; on a CPU one, which uses all its cores."""

    def map_unordered(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], *, device: str, stop: Stop
    ) -> Iterator[tuple[int, ResultT]]:
        slots = self.slots(device)
        if len(slots) == 1:
            return run_in_process(job, items, slots[0].device, stop)
        return _in_processes(job, items, slots, stop)

    def map_cpu(self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop) -> Iterator[tuple[int, ResultT]]:
        n = min(self.workers, len(items) // MIN_PIECES)
        if n < 2:
            return run_in_process(job, items, "cpu", stop)
        return _in_processes(job, items, [WorkerSlot("cpu", cores) for cores in share_cores(n)], stop)

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

        n = torch.cuda.device_count()
        if n == 0 or (device != "cuda" and int(device.removeprefix("cuda:")) >= n):
            raise EnvironmentLacks(
                f"device {device} is not here: torch sees {n} CUDA devices",
                hint="set machine.device to cpu, or to auto for what is there",
            )
        devices = [device] if device != "cuda" else [f"cuda:{number}" for number in range(n)]
        return [WorkerSlot(devices[number % len(devices)]) for number in range(self.processes or len(devices))]


class _Worker:
    """A process with a pipe to it; it dies with this process."""

    def __init__(self, slot: WorkerSlot, job: Job[Any, Any]):
        self.slot, self.ready = slot, False
        self.pipe, theirs = Pipe()
        threads = {"OMP_NUM_THREADS": str(len(slot.cores))} if slot.cores else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mep.machine.worker_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # stdout carries data
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | threads,
        )
        theirs.close()
        self.send(slot)
        self.send(job)

    def send(self, message: Any) -> None:
        with suppress(BrokenPipeError):  # it is dead; the next wait says so, and its leases are handed out again
            self.pipe.send(message)

    def end(self) -> str:
        """Kill it where it still lives; how it ended."""
        self.process.kill()
        code = self.process.wait()
        self.pipe.close()
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


def _in_processes(
    job: Job[ItemT, ResultT], items: Iterable[ItemT], slots: list[WorkerSlot], stop: Stop
) -> Iterator[tuple[int, ResultT]]:
    leases = Leases[_Worker, ItemT](items)
    workers = {worker.pipe: worker for worker in (_Worker(slot, job) for slot in slots)}
    try:
        while True:
            for worker in workers.values():
                while worker.ready and (lease := leases.take(worker)):
                    worker.send(lease)
            if leases.finished:
                return
            stop()
            for pipe in wait(list(workers), timeout=1):
                assert isinstance(pipe, Connection)
                worker = workers[pipe]
                message = _receive(worker)
                if message is None:
                    del workers[pipe]
                    how = worker.end()
                    leases.lost(worker, how)
                    if not worker.ready:
                        raise EnvironmentLacks(f"a worker could not begin: it {how}", hint="most often memory is short")
                    replacement = _Worker(worker.slot, job)
                    workers[replacement.pipe] = replacement
                elif message[0] == "ready":
                    check_versions(message[1], "this machine")
                    worker.ready = True
                elif message[0] == "failed":
                    _raise(message)
                else:
                    leases.done(worker, message[1])
                    yield message[1:]
    finally:
        for worker in workers.values():
            worker.end()


def _receive(worker: _Worker) -> Any:
    """The next message of a worker, None where it is dead."""
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        return None


def _raise(message: tuple[str, Exception | None, str, str]) -> None:
    _, known, text, trace = message
    if known is not None:
        raise known
    raise RuntimeError(f"{text}\n\nin a worker process:\n{trace}")
