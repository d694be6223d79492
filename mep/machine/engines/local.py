"""This machine."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from typing import Generic, Literal, cast

from pydantic import Field

from mep.errors import EnvironmentLacks
from mep.machine.devices import resolve_device
from mep.machine.engines import MIN_PIECES, Engine, ItemT, ResultT
from mep.machine.jobs import Job, Say, Stop, run_in_process, silent
from mep.machine.worker_process import Done, Failed, Message, Ready
from mep.machine.workers import Leases, WorkerSlot, check_versions, share_cores


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
        return WorkerPool(job, items).run(slots, stop)

    def map_side_by_side(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        slots = Local(kind="local", processes=n).slots(device)
        return WorkerPool(job, items, ahead=0).run(slots, stop)

    def map_cpu(
        self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        n = min(self.workers, len(items) // MIN_PIECES)
        if n < 2:
            return run_in_process(job, items, "cpu", stop)
        return WorkerPool(job, items).run([WorkerSlot("cpu", cores) for cores in share_cores(n)], stop)

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


class WorkerPool(Generic[ItemT, ResultT]):
    """The worker processes of one map. A worker that dies is replaced, and its items go to another."""

    def __init__(self, job: Job[ItemT, ResultT], items: Iterable[ItemT], ahead: int = 1):
        """ahead: items that wait at each worker, so that it is never idle."""
        self.job = job
        self.leases = Leases[_Worker, ItemT](items, ahead)
        self.workers: dict[object, _Worker] = {}

    def run(self, slots: Iterable[WorkerSlot], stop: Stop) -> Iterator[tuple[int, ResultT]]:
        """(position, result) of every item, as one worker process for each slot finishes them."""
        try:
            for slot in slots:
                self._start(slot)
            while self._hand_out():
                stop()
                for pipe in wait([worker.pipe for worker in self.workers.values()], timeout=1):
                    yield from self._receive(self.workers[pipe])
        finally:
            for worker in self.workers.values():
                worker.end()

    def _start(self, slot: WorkerSlot) -> None:
        worker = _Worker(slot, self.job)
        self.workers[worker.pipe] = worker

    def _hand_out(self) -> bool:
        """Send items to the workers that have room for them; False when every item is done."""
        for worker in self.workers.values():
            while worker.is_ready and (lease := self.leases.take(worker)):
                worker.send(lease)
        return not self.leases.finished

    def _receive(self, worker: "_Worker") -> Iterator[tuple[int, ResultT]]:
        match worker.receive():
            case None:
                self._replace(worker)
            case Ready(versions):
                check_versions(versions, "this machine")
                worker.is_ready = True
            case Failed() as failure:
                failure.reraise()
            case Done(number, result):
                self.leases.done(worker, number)
                yield number, result

    def _replace(self, worker: "_Worker") -> None:
        del self.workers[worker.pipe]
        how = worker.end()
        self.leases.lost(worker, how)
        if not worker.is_ready:
            raise EnvironmentLacks(f"a worker could not begin: it {how}", hint="most often memory is short")
        self._start(worker.slot)


class _Worker:
    """A process with a pipe to it; it dies with this process."""

    def __init__(self, slot: WorkerSlot, job: object):
        self.slot, self.is_ready = slot, False
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

    def send(self, message: object) -> None:
        with suppress(BrokenPipeError):  # it is dead; the next wait says so, and its items are handed out again
            self.pipe.send(message)

    def receive(self) -> Message | None:
        """The next message; None when the process is dead."""
        try:
            return cast(Message, self.pipe.recv())
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """Kill the process if it still lives; how it ended."""
        self.process.kill()
        code = self.process.wait()
        self.pipe.close()
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
