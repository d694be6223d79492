"""A worker process: `python -m mep.machine.worker_process FD`, started by the local engine with its end of a pipe.

It receives a WorkerSlot, then a job, then numbered items. It sends Ready, then Done for every item, or Failed.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from mep.errors import MepError
from mep.machine.jobs import Job
from mep.machine.versions import versions

ItemQueue = queue.Queue[tuple[int, Any]]
"""Numbered items that the driver has sent."""


@dataclass(frozen=True)
class Ready:
    """The worker has loaded its model."""

    versions: dict[str, str]


@dataclass(frozen=True)
class Done:
    """An item is done."""

    number: int
    result: Any


@dataclass(frozen=True)
class Failed:
    """What a worker raised: an error of mep as it is, or the text of another with its traceback."""

    error: MepError | None
    text: str
    trace: str

    def reraise(self) -> NoReturn:
        if self.error is not None:
            raise self.error
        raise RuntimeError(f"{self.text}\n\nin a worker process:\n{self.trace}")


Send = Callable[[Ready | Done | Failed], None]


def main(descriptor: int) -> None:
    from mep.machine import worker_process as module  # in __main__ the classes of the messages would be others

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    module.serve(Connection(descriptor))


def serve(pipe: Connection) -> None:
    """Do what the driver sends until it goes away or something fails."""
    sending = threading.Lock()

    def send(message: Ready | Done | Failed) -> None:
        with sending:
            pipe.send(message)

    try:
        slot = pipe.recv()
        if slot.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, slot.cores)
        job = pipe.recv()
        _work(job, slot.device, _listen(pipe), send)
    except (EOFError, BrokenPipeError):
        return  # the driver is gone, and with it the reason for this work
    except BaseException as error:
        ours = error if isinstance(error, MepError) else None
        send(Failed(ours, f"{type(error).__name__}: {error}", traceback.format_exc()))


def _work(job: Job[Any, Any], device: str, items: ItemQueue, send: Send) -> NoReturn:
    compute = job.prepare(device)
    send(Ready(versions()))

    def finish(number: int, computed: Any) -> None:
        send(Done(number, job.finish(computed)))

    with ThreadPoolExecutor(1) as finisher:
        finishing = None
        while True:
            number, item = items.get()
            computed = compute(item)
            if finishing is not None:
                finishing.result()  # raises what finishing the last item raised, and keeps at most two in memory
            finishing = finisher.submit(finish, number, computed)


def _listen(pipe: Connection) -> ItemQueue:
    """Items as they come. When the driver dies the pipe ends, and this process with it, in the middle of its work."""
    items: ItemQueue = queue.Queue()

    def listen() -> None:
        try:
            while True:
                items.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return items


if __name__ == "__main__":
    main(int(sys.argv[1]))
