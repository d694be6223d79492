"""What an engine keeps about its workers: their places, their versions, and which item each of them has."""

import os
import sys
from collections import Counter, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mep.errors import EnvironmentLacks

ItemT = TypeVar("ItemT")
WorkerT = TypeVar("WorkerT", bound=Hashable)

MAX_DEATHS = 3  # workers that may die on an item before the work is given up


@dataclass(frozen=True)
class WorkerSlot:
    """Where a worker process runs: its device, and the cores that it is pinned to (none: not pinned)."""

    device: str
    cores: tuple[int, ...] = ()


def share_cores(n: int) -> list[tuple[int, ...]]:
    """The cores of this process split into n parts; parts overlap where there are fewer cores than parts."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < n:
        return [(cores[number % len(cores)],) if cores else () for number in range(n)]
    return [tuple(cores[len(cores) * number // n : len(cores) * (number + 1) // n]) for number in range(n)]


def versions() -> dict[str, str]:
    """Versions that must be the same in every process that computes a part of a result."""
    from importlib import metadata

    packages = {name: metadata.version(name) for name in ("mep", "torch", "diffusers")}
    return packages | {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}


def check_versions(theirs: dict[str, str], host: str) -> None:
    """EnvironmentLacks: a worker runs other versions than this process."""
    for name, version in versions().items():
        if theirs.get(name) != version:
            raise EnvironmentLacks(
                f"the worker on {host} runs {name} {theirs.get(name)}, this process runs {version}",
                hint="workers of different versions draw different images: install the same on both",
            )


class Leases(Generic[WorkerT, ItemT]):
    """Which worker has which item. An item is taken from the iterator only when a worker is free to begin it."""

    def __init__(self, items: Iterable[ItemT], ahead: int = 1):
        """ahead: items that wait at a worker beside the one that it is at."""
        self._most = 1 + ahead
        self._fresh = enumerate(items)
        self._returned: deque[int] = deque()
        self._items: dict[int, ItemT] = {}
        self._leased: dict[WorkerT, list[int]] = {}
        self._deaths: Counter[int] = Counter()
        self._exhausted = False

    def take(self, worker: WorkerT) -> tuple[int, ItemT] | None:
        """(number, item) for a worker to do next; None when it has enough or none is left."""
        leased = self._leased.setdefault(worker, [])
        if len(leased) >= self._most:
            return None
        if self._returned:
            number = self._returned.popleft()
        else:
            following = next(self._fresh, None)
            if following is None:
                self._exhausted = True
                return None
            number, self._items[number] = following
        leased.append(number)
        return number, self._items[number]

    def done(self, worker: WorkerT, number: int) -> None:
        self._leased[worker].remove(number)
        del self._items[number]

    def lost(self, worker: WorkerT, reason: str, most: int = MAX_DEATHS) -> None:
        """Take back the items of a dead worker; EnvironmentLacks where so many died on the same item."""
        leased = self._leased.pop(worker, [])
        self._returned.extend(leased)
        if leased:
            self._deaths[leased[0]] += 1  # the others were only waiting
            if self._deaths[leased[0]] >= most:
                raise EnvironmentLacks(
                    f"{most} workers died on the same piece of work; the last one {reason}",
                    hint="most often memory is short: lower machine.batch_size or the number of workers",
                )

    @property
    def any_out(self) -> bool:
        """Whether a worker has an item."""
        return any(self._leased.values())

    @property
    def finished(self) -> bool:
        return self._exhausted and not self._items
