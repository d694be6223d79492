"""Processes of this machine that compute one job, with a pipe to each."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from typing import Generic, cast

from mep.errors import EnvironmentLacks
from mep.machine.engines import ItemT, ResultT
from mep.machine.jobs import Job, Stop
from mep.machine.worker_process import Done, Failed, Message, Ready
from mep.machine.workers import Leases, WorkerSlot, check_versions


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
