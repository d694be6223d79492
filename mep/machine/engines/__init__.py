"""Engines: where work on many items runs. One file, one engine; none changes a result."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, TypeVar

from pydantic import Field

from mep.machine.jobs import Job, Look, Say, SayOf, Stop, map_ahead, silent
from mep.registry import Method

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
MIN_PIECES = 4  # pieces of CPU work that are worth a worker of their own, which takes 0.2 s to begin


class Engine(Method):
    """Maps functions over items on threads, and jobs over items on workers that have loaded a model."""

    noun: ClassVar[str] = "engine"
    usual: ClassVar[str] = "local"

    workers: int = Field(2, ge=1, le=1024)
    """Threads that decode images for a model, and, where no cluster does it, processes that measure images."""

    def require(self) -> None:
        """EnvironmentLacks: what it needs is not there; asked before the first stage."""

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Results in the order of the items, computed by threads of this process, only a few of them in advance."""
        if self.workers == 1:
            yield from map(function, items)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self.workers) as pool:
            yield from map_ahead(pool, function, items, 4 * self.workers)

    @abstractmethod
    def map_unordered(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], *, device: str, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        """(position, result) of every item exactly once, as the workers finish; only a few items are in flight.

        device  `machine.device` of the recipe
        stop    called at least once a second; raises Interrupted when a signal asked for a stop
        say     told for what room the workers wait

        EnvironmentLacks    a worker runs other versions, dies repeatedly, or none can be started
        """

    @abstractmethod
    def map_side_by_side(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, look: Look, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        """Like `map_unordered`, for a few long items: at most n at the same time, each at a worker with its part of
        the machine; one is taken from the iterator only when a worker is free to begin it.

        look    called at least once a second
        """

    @property
    def trains_together(self) -> bool:
        """Whether several of its workers train one model, by `map_together`."""
        return False

    def map_together(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, look: Look, say: SayOf
    ) -> Iterator[tuple[int, ResultT | Exception]]:
        """Like `map_side_by_side`, each item at several workers, which compute it together with the environment
        variables of torchrun. All workers of an item begin again when one of them is lost.

        returns (position, what the first worker gives; or what they failed with: the other items go on)
        """
        raise NotImplementedError(f"the engine {self.kind} does not compute together")

    @abstractmethod
    def map_cpu(
        self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        """Like `map_unordered`, for a job that needs no device and comes in small pieces: one process for each core."""
