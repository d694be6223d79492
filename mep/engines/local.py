"""This machine."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pydantic import Field

from mep.engines import Engine, ItemT, ResultT


class Local(Engine):
    """Threads of this process; decoding, resizing and most array work release the interpreter lock."""

    kind: Literal["local"] = "local"
    workers: int = Field(2, ge=1, le=1024)
    """Threads that decode and measure images."""

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        if self.workers == 1:
            yield from map(function, items)
            return
        remaining = iter(items)
        with ThreadPoolExecutor(self.workers) as pool:
            waiting = deque(pool.submit(function, item) for item in itertools.islice(remaining, 4 * self.workers))
            try:
                while waiting:
                    yield waiting.popleft().result()
                    waiting.extend(pool.submit(function, item) for item in itertools.islice(remaining, 1))
            finally:
                for future in waiting:
                    future.cancel()
