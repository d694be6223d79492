"""Engines: where work on many items runs. One file, one engine; none changes a result."""

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, TypeVar

from mep.registry import Method

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Engine(Method):
    """Maps a function over items."""

    noun: ClassVar[str] = "engine"

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Results in the order of the items; only a few items are in flight at any time."""
        raise NotImplementedError
