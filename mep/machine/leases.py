"""Which worker has which item. The items of a worker that dies are handed out again."""

from collections import Counter, deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from mep.errors import EnvironmentLacks

ItemT = TypeVar("ItemT")
WorkerT = TypeVar("WorkerT", bound=Hashable)

ITEMS_PER_WORKER = 2
"""Items that a worker has at once: one that it computes and one that waits, so that it is never idle."""
MAX_DEATHS = 3
"""Workers that may die on an item before the work is given up."""


class Leases(Generic[WorkerT, ItemT]):
    """Which worker has which item. An item is taken from the iterator only when a worker is free to begin it."""

    def __init__(self, items: Iterable[ItemT]):
        self._fresh = enumerate(items)
        self._returned: deque[int] = deque()
        self._items: dict[int, ItemT] = {}
        self._leased: dict[WorkerT, list[int]] = {}
        self._deaths: Counter[int] = Counter()
        self._exhausted = False

    def take(self, worker: WorkerT) -> tuple[int, ItemT] | None:
        """(number, item) for a worker to do next; None when it has enough or none is left."""
        leased = self._leased.setdefault(worker, [])
        if len(leased) >= ITEMS_PER_WORKER:
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

    def lost(self, worker: WorkerT, reason: str) -> None:
        """Take back the items of a dead worker.

        EnvironmentLacks    too many workers died on one item
        """
        leased = self._leased.pop(worker, [])
        self._returned.extend(leased)
        if leased:
            self._deaths[leased[0]] += 1  # the others were only waiting
            if self._deaths[leased[0]] >= MAX_DEATHS:
                raise EnvironmentLacks(
                    f"{MAX_DEATHS} workers died on the same piece of work; the last one {reason}",
                    hint="most often memory is short: lower machine.batch_size or the number of workers",
                )

    @property
    def finished(self) -> bool:
        return self._exhausted and not self._items
