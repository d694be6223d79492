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
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn, TypeAlias

from mep.errors import MepError
from mep.machine.jobs import Job
from mep.machine.workers import versions


class Ready(NamedTuple):
    versions: dict[str, str]


class Done(NamedTuple):
    number: int
    result: Any


class Failed(NamedTuple):
    """What a worker raised: an error of mep as it is, or the text of another with its traceback."""

    error: MepError | None
    text: str
    trace: str

    def reraise(self) -> NoReturn:
        raise self.error or RuntimeError(f"{self.text}\n\nin a worker process:\n{self.trace}")


Message: TypeAlias = Ready | Done | Failed


def main(descriptor: int) -> None:
    from mep.machine import worker_process as module  # in __main__ the classes of the messages would be others

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    module.serve(Connection(descriptor))


def serve(pipe: Connection) -> None:
    """Do what the driver sends until it goes away or something fails."""
    sending = threading.Lock()

    def send(message: Message) -> None:
        with sending:
            pipe.send(message)

    try:
        slot = pipe.recv()
        if slot.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, slot.cores)
        _work(pipe, pipe.recv(), slot.device, send)
    except (EOFError, BrokenPipeError):
        return  # the driver is gone, and with it the reason for this work
    except BaseException as error:
        ours = error if isinstance(error, MepError) else None
        send(Failed(ours, f"{type(error).__name__}: {error}", traceback.format_exc()))


def _work(pipe: Connection, job: Job[Any, object], device: str, send: Callable[[Message], None]) -> NoReturn:
    items: queue.Queue[tuple[int, object]] = queue.Queue()

    def listen() -> None:
        """Items as they come. When the driver dies the pipe ends, and this process in the middle of its work."""
        try:
            while True:
                items.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    compute = job.prepare(device)
    send(Ready(versions()))
    with ThreadPoolExecutor(1) as finisher:
        finishing = None
        while True:
            number, item = items.get()
            computed = compute(item)
            if finishing is not None:
                finishing.result()  # raises what finishing the last item raised, and keeps at most two in memory
            finishing = finisher.submit(
                lambda number, computed: send(Done(number, job.finish(computed))), number, computed
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
