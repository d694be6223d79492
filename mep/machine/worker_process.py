"""A worker process: `python -m mep.machine.worker_process FD`, started by the local engine with its end of a pipe.

It receives a WorkerSlot, then a job, then numbered items. It sends ("ready", versions), then ("done", number, result)
for every item, or ("failed", error, traceback).
"""

import os
import queue
import signal
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from mep.errors import MepError
from mep.machine.jobs import Job
from mep.machine.versions import versions


def main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    pipe = Connection(descriptor)
    sending = threading.Lock()

    def send(*message: Any) -> None:
        with sending:
            pipe.send(message)

    try:
        slot = pipe.recv()
        if slot.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, slot.cores)
        job = pipe.recv()
        items = _listen(pipe)
        _work(job, slot.device, items, send)
    except (EOFError, BrokenPipeError):
        return  # the driver is gone, and what it wanted with it
    except BaseException as error:
        known = error if isinstance(error, MepError) else None
        send("failed", known, f"{type(error).__name__}: {error}", traceback.format_exc())


def _work(job: Job[Any, Any], device: str, items: "queue.Queue[tuple[int, Any] | None]", send: Any) -> None:
    compute = job.prepare(device)
    send("ready", versions())

    def finish(number: int, computed: Any) -> None:
        send("done", number, job.finish(computed))

    with ThreadPoolExecutor(1) as finisher:
        finishing = None
        while (following := items.get()) is not None:
            number, item = following
            computed = compute(item)
            if finishing is not None:
                finishing.result()  # raises what finishing the last item raised, and keeps at most two in memory
            finishing = finisher.submit(finish, number, computed)


def _listen(pipe: Connection) -> "queue.Queue[tuple[int, Any] | None]":
    """Items as they come. When the driver dies the pipe ends, and this process with it, in the middle of its work."""
    items: queue.Queue[tuple[int, Any] | None] = queue.Queue()

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
