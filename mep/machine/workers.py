"""Work on many items by workers that prepare once: what is handed to them, and who holds which item.

A job names files and settings; every worker loads the weights itself, so that a job stays a few kilobytes however
large its model is. An item is leased to a worker, and handed out again where the worker dies before it is done.
"""

import os
import platform
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Generic, TypeVar, cast

from mep.errors import EnvironmentLacks, Interrupted

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Stop = Callable[[], None]
"""Raises Interrupted where a signal asked for a stop."""

HELD = 2
"""Items that a worker holds at once: one that it works on and one that waits, so that it never idles."""
LIVES = 3
"""Workers that may die on an item before the work is given up."""


class Job(Generic[ItemT, ResultT]):
    """What workers do with every item; it can be pickled."""

    def prepare(self, device: str) -> Callable[[ItemT], Any]:
        """What computes an item on the device; called once in every worker, which loads its weights here."""
        raise NotImplementedError

    def finish(self, computed: Any) -> ResultT:
        """The result of what was computed; called on a thread, while the next item is computed."""
        return cast(ResultT, computed)


def in_process(
    job: Job[ItemT, ResultT], items: Iterable[ItemT], device: str, stop: Stop
) -> Iterator[tuple[int, ResultT]]:
    """(position, result) of every item, in order; computed here, finished on a thread."""
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


class Leases(Generic[ItemT]):
    """Who holds which item. Items are taken from an iterator only when a worker is free to begin one."""

    def __init__(self, items: Iterable[ItemT]):
        self._fresh = enumerate(items)
        self._again: deque[int] = deque()
        self._items: dict[int, ItemT] = {}
        self._held: dict[Any, list[int]] = {}
        self._deaths: Counter[int] = Counter()
        self.exhausted = False

    def take(self, worker: Any) -> tuple[int, ItemT] | None:
        """The next item for a worker, None where it holds enough or none is left."""
        held = self._held.setdefault(worker, [])
        if len(held) >= HELD:
            return None
        if self._again:
            number = self._again.popleft()
        else:
            following = next(self._fresh, None)
            if following is None:
                self.exhausted = True
                return None
            number, self._items[number] = following
        held.append(number)
        return number, self._items[number]

    def done(self, worker: Any, number: int) -> None:
        self._held[worker].remove(number)
        del self._items[number]

    def lost(self, worker: Any, how: str) -> None:
        """Take back what a dead worker held.

        EnvironmentLacks    one item has outlived too many workers
        """
        held = self._held.pop(worker, [])
        self._again.extend(held)
        if held:
            self._deaths[held[0]] += 1  # the others were only waiting
            if self._deaths[held[0]] >= LIVES:
                raise EnvironmentLacks(
                    f"{LIVES} workers died on the same piece of work; the last one {how}",
                    hint="most often memory is short: lower machine.batch_size or the number of workers",
                )

    @property
    def finished(self) -> bool:
        return self.exhausted and not self._items


def versions() -> dict[str, str]:
    """What has to be the same wherever one result is computed."""
    found = {name: metadata.version(name) for name in ("mep", "torch", "diffusers")}
    return found | {"python": ".".join(platform.python_version_tuple()[:2])}


def check_versions(theirs: dict[str, str], where: str) -> None:
    """EnvironmentLacks where a worker runs other versions than this process."""
    ours = versions()
    for name, version in ours.items():
        if theirs.get(name) != version:
            raise EnvironmentLacks(
                f"the worker on {where} runs {name} {theirs.get(name)}, this process runs {version}",
                hint="workers of different versions draw different images: install the same on both",
            )


def resolve(device: str) -> str:
    """The device that `auto` stands for here."""
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@dataclass(frozen=True)
class Place:
    """Where a worker process runs: its device, and the cores it is pinned to (none: not pinned)."""

    device: str
    cores: tuple[int, ...] = ()


def share_cores(n: int) -> list[tuple[int, ...]]:
    """The cores of this process split into n parts; parts overlap where there are fewer cores than parts."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < n:
        return [(cores[number % len(cores)],) if cores else () for number in range(n)]
    return [tuple(cores[len(cores) * number // n : len(cores) * (number + 1) // n]) for number in range(n)]


def ahead(
    pool: ThreadPoolExecutor, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], n: int
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
