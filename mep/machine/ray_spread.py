"""One map over a Ray cluster: its actors, each with an item and others that wait."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias

from mep.errors import EnvironmentLacks, MepError
from mep.machine.engines import ItemT, ResultT
from mep.machine.jobs import Job, Say, Stop
from mep.machine.ray_cluster import MOST_NODES, Room, is_node_lost, options
from mep.machine.workers import MAX_DEATHS, Leases, check_versions, versions

if TYPE_CHECKING:
    from mep.machine.engines.ray import Ray


class _Actor:
    """A worker. Two calls may run at once, of which one computes while the other finishes."""

    def __init__(self) -> None:
        self.job: Job[Any, object]
        self.compute: Callable[[Any], object]
        self.computing = threading.Lock()

    def begin(self) -> tuple[dict[str, str], str]:
        return versions(), socket.gethostname()

    def prepare(self, job: Job[Any, object], device: str) -> None:
        self.job, self.compute = job, job.prepare(device)

    def run(self, item: object) -> object:
        with self.computing:
            computed = self.compute(item)
        return self.job.finish(computed)


Handle: TypeAlias = Any
"""An actor as the driver sees it: what its methods give is a reference to the answer."""


class _Asked(NamedTuple):
    """What an actor does now, and with which item."""

    actor: Handle
    what: Literal["begin", "prepare", "run"]
    number: int = -1


class Crew(NamedTuple):
    """Workers at most, and items that wait at each."""

    most: int | None = None
    ahead: int = 1


class Spread(Generic[ItemT, ResultT]):
    """One map over the cluster: its actors, and what each has been asked."""

    def __init__(
        self,
        engine: Ray,
        job: Job[ItemT, ResultT],
        items: Iterable[ItemT],
        device: str,
        crew: Crew,
    ):
        self.engine, self.job, self.leases = engine, job, Leases[Handle, ItemT](items, crew.ahead)
        self.ray = engine.connected()
        self.device = engine.device_of(device)
        self.needs = engine.needs(self.device, whole_gpu=job.whole_gpu)
        resources = self.ray.cluster_resources()
        by_gpus = int(resources.get("GPU", 0) / self.needs.get("GPU", float("inf")))
        n_actors = engine.actors or by_gpus or max(1, int(resources.get("CPU", 1)) // engine.cpus_per_actor)
        self.n_actors = min(n_actors, crew.most or n_actors)
        self.asked: dict[object, _Asked] = {}
        self.ready: list[Handle] = []
        self.n_failed = 0

    def results(self, stop: Stop, say: Say) -> Iterator[tuple[int, ResultT]]:
        room = Room(self.ray, self.needs, self.engine.connect_timeout_s, say)
        try:
            for _ in range(self.n_actors):
                self._start()
            while self._hand_out():
                stop()
                references, _ = self.ray.wait(list(self.asked), num_returns=1, timeout=1)
                for reference in references:
                    yield from self._settle(reference)
                n_waiting = sum(asked.what == "begin" for asked in self.asked.values())
                room.look(self.n_actors - n_waiting, self.n_actors)
        finally:
            for actor in {asked.actor for asked in self.asked.values()} | set(self.ready):
                self.ray.kill(actor)

    def _start(self) -> None:
        actor = self.ray.remote(max_concurrency=2, max_restarts=0, **options(self.needs))(_Actor).remote()
        self.asked[actor.begin.remote()] = _Asked(actor, "begin")

    def _hand_out(self) -> bool:
        """Send items to the actors that have room for them; False when every item is done."""
        for actor in self.ready:
            while lease := self.leases.take(actor):
                number, item = lease
                self.asked[actor.run.remote(item)] = _Asked(actor, "run", number)
        return not self.leases.finished

    def _settle(self, reference: object) -> Iterator[tuple[int, ResultT]]:
        """Take an answer in; (position, result) where it was one of an item."""
        from ray.exceptions import RayError, RayTaskError

        actor, what, number = self.asked.pop(reference)
        try:
            answer = self.ray.get(reference)
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, MepError) else RuntimeError(str(error)) from error
        except RayError as error:  # the worker, its node, or the node that kept the result is gone
            self._lost(actor, what, error)
            return
        if what == "run":
            self.leases.done(actor, number)
            yield number, answer
        elif what == "begin":
            check_versions(*answer)
            self.asked[actor.prepare.remote(self.job, self.device)] = _Asked(actor, "prepare")
        else:
            self.ready.append(actor)

    def _lost(self, actor: Handle, what: str, error: Exception) -> None:
        self.asked = {reference: asked for reference, asked in self.asked.items() if asked.actor is not actor}
        if actor in self.ready:
            self.ready.remove(actor)
        self.ray.kill(actor)  # where it was only unreachable: it must not go on with what another now does
        most = MOST_NODES if is_node_lost(error) else MAX_DEATHS
        self.leases.lost(actor, f"was lost: {type(error).__name__}", most)
        self.n_failed += what != "run"
        if self.n_failed >= MAX_DEATHS:
            raise EnvironmentLacks(
                f"{MAX_DEATHS} workers could not begin; the last one: {error}",
                hint=f"every host needs the same mep: pip install mep=={versions()['mep']}",
            )
        self._start()
