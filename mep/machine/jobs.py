"""Work on many items: a job names files and settings, a few kilobytes; every worker loads the weights itself."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from mep.errors import Interrupted

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Stop: TypeAlias = Callable[[], None]
"""Raises Interrupted when a signal asked for a stop."""
Say: TypeAlias = Callable[[str], None]
"""Is told what the work waits for, whenever that changes."""
Look: TypeAlias = Callable[[bool], None]
"""Is told whether a worker is at an item. Raises Interrupted when a signal asked for a stop that no worker can hear."""
SayOf: TypeAlias = Callable[[str, int | None], None]
"""Is told what the work waits for, and which item does; None where it is not one item alone."""


def silent(text: str) -> None:
    """Nobody wants to know."""


class Job(Generic[ItemT, ResultT]):
    """What workers do with every item; it can be pickled."""

    whole_gpu: bool = True
    """Whether a worker needs a GPU for itself, where there are any."""

    def prepare(self, device: str) -> Callable[[ItemT], Any]:
        """The function that computes an item on the device. Each worker calls this once; it loads the weights."""
        raise NotImplementedError

    def finish(self, computed: Any) -> ResultT:
        """The result of what was computed; called on a thread, while the next item is computed."""
        return cast(ResultT, computed)


def run_in_process(
    job: Job[ItemT, ResultT], items: Iterable[ItemT], device: str, stop: Stop
) -> Iterator[tuple[int, ResultT]]:
    """(position, result) of every item, in order; computed here, finished on a thread."""
    from concurrent.futures import ThreadPoolExecutor

    compute = job.prepare(device)
    waiting: deque[tuple[int, Future[ResultT]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="finish") as finisher:
        for number, item in enumerate(items):
            try:
                stop()
            except Interrupted:
                yield from ((done, result.result()) for done, result in waiting)  # what is computed is kept
                raise
            waiting.append((number, finisher.submit(job.finish, compute(item))))
            while len(waiting) > 1 or (waiting and waiting[0][1].done()):
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()


def map_ahead(
    pool: "ThreadPoolExecutor", function: Callable[[ItemT], ResultT], items: Iterable[ItemT], n: int
) -> Iterator[ResultT]:
    """Results in the order of the items, at most n of them computed ahead of the reader."""
    remaining = iter(items)
    waiting: deque[Future[ResultT]] = deque()
    try:
        for item in remaining:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
