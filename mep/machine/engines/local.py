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
from mep.machine.engines import FEWEST, Engine, ItemT, ResultT
from mep.machine.workers import Job, Leases, Place, Stop, check_versions, in_process, resolve, share_cores


class Local(Engine):
    """This process, or several of this machine: one for each GPU, or CPU processes pinned to cores of their own."""

    kind: Literal["local"]
    processes: int | None = Field(None, ge=1, le=1024)
    """Processes that run models. Default: one for each GPU that is there; on a CPU one, which uses all its cores."""

    def spread(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], *, device: str, stop: Stop
    ) -> Iterator[tuple[int, ResultT]]:
        places = self.places(device)
        if len(places) == 1:
            return in_process(job, items, places[0].device, stop)
        return _in_processes(job, items, places, stop)

    def measure(self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop) -> Iterator[tuple[int, ResultT]]:
        n = min(self.workers, len(items) // FEWEST)
        if n < 2:
            return in_process(job, items, "cpu", stop)
        return _in_processes(job, items, [Place("cpu", cores) for cores in share_cores(n)], stop)

    def places(self, device: str) -> list[Place]:
        """Where the workers run. GPUs are shared where there are more processes than GPUs.

        EnvironmentLacks    the device is not there
        """
        device = resolve(device)
        if device == "cpu":
            return [Place("cpu", cores) for cores in share_cores(self.processes or 1)]
        if device == "mps":
            return [Place("mps")] * (self.processes or 1)
        import torch

        n = torch.cuda.device_count()
        if n == 0 or (device != "cuda" and int(device.removeprefix("cuda:")) >= n):
            raise EnvironmentLacks(
                f"device {device} is not here: torch sees {n} CUDA devices",
                hint="set machine.device to cpu, or to auto for what is there",
            )
        devices = [device] if device != "cuda" else [f"cuda:{number}" for number in range(n)]
        return [Place(devices[number % len(devices)]) for number in range(self.processes or len(devices))]


class _Worker:
    """A process with a pipe to it; it dies with this process."""

    def __init__(self, place: Place, job: Job[Any, Any]):
        self.place, self.ready = place, False
        self.pipe, theirs = Pipe()
        threads = {"OMP_NUM_THREADS": str(len(place.cores))} if place.cores else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mep.machine.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # stdout carries data
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | threads,
        )
        theirs.close()
        self.send(place)
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
    job: Job[ItemT, ResultT], items: Iterable[ItemT], places: list[Place], stop: Stop
) -> Iterator[tuple[int, ResultT]]:
    leases = Leases(items)
    workers = {worker.pipe: worker for worker in (_Worker(place, job) for place in places)}
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
                    replacement = _Worker(worker.place, job)
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
