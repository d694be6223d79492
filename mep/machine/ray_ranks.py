"""Ranks on a Ray cluster: workers that compute one thing together, each in a bundle of a placement group."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic

from mep.errors import EnvironmentLacks, MepError
from mep.machine.engines import ItemT, ResultT
from mep.machine.jobs import Job, Say, Stop
from mep.machine.ray_cluster import MOST_NODES, Room, is_node_lost, options
from mep.machine.workers import MAX_DEATHS, check_versions, versions

if TYPE_CHECKING:
    from mep.machine.engines.ray import Ray

SETTLE_S = 60.0
"""When a rank fails because its peer is gone, Ray may need that long to say that the peer's node is lost."""


class _Rank:
    """A process of its own; it computes once."""

    def begin(self) -> tuple[dict[str, str], str]:
        return versions(), socket.gethostname()

    def address(self) -> tuple[str, int]:
        """Where the other ranks find this one: an address, and a port that is free now."""
        from ray.util import get_node_ip_address

        with socket.socket() as probe:
            probe.bind(("", 0))
            return str(get_node_ip_address()), probe.getsockname()[1]  # type: ignore[no-untyped-call]

    def compute(self, job: Job[Any, object], item: object, device: str, place: dict[str, str]) -> object:
        os.environ.update(place)
        return job.finish(job.prepare(device)(item))


class Lost(Exception):
    """A rank is gone, and with it the work of all."""

    def __init__(self, rank: int, error: Exception):
        super().__init__(f"rank {rank} was lost: {type(error).__name__}")
        self.by_its_node = is_node_lost(error)


class Ranks(Generic[ItemT, ResultT]):
    """One item, computed by all ranks together; they find each other as those of torchrun do, by RANK, WORLD_SIZE and
    the MASTER_ADDR and MASTER_PORT of rank 0."""

    def __init__(self, engine: Ray, job: Job[ItemT, ResultT], item: ItemT, device: str, say: Say):
        self.engine, self.job, self.item, self.say = engine, job, item, say
        self.ray, self.n = engine.connected(), engine.training_processes
        self.device = engine.device_of(device)
        self.needs = engine.needs(self.device, whole_gpu=True)

    def result(self, stop: Stop, look: Stop) -> ResultT:
        """What rank 0 gives. When a rank is lost all are ended, and all begin again.

        stop    called at least once a second until the ranks compute
        look    called at least once a second while they do

        EnvironmentLacks    no room in time, or ranks are lost again and again
        """
        lost: Counter[bool] = Counter()
        while True:
            try:
                return self._attempt(stop, look)
            except Lost as loss:
                lost[loss.by_its_node] += 1
                if lost[loss.by_its_node] >= (MOST_NODES if loss.by_its_node else MAX_DEATHS):
                    hint = "most often memory is short: lower machine.micro_batch, or raise machine.engine.memory_gb"
                    raise EnvironmentLacks(f"{lost[loss.by_its_node]} times, {loss}", hint=hint) from loss
                self.say(f"for {self.n} ranks to begin again where they can go on: {loss}")

    def _attempt(self, stop: Stop, look: Stop) -> ResultT:
        from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group

        group = placement_group([self.needs] * self.n, strategy=self.engine.training_placement.upper())
        room = Room(self.ray, self.needs, self.engine.connect_timeout_s, self._say_of_room)
        actors: list[Any] = []

        def wait(n_begun: int) -> None:
            stop()
            if placement_group_table(group)["state"] != "CREATED":  # once it is placed, its workers only have to begin
                room.look(n_begun, self.n)

        try:
            actors += [self._start(group, rank) for rank in range(self.n)]
            for answer in self._all([actor.begin.remote() for actor in actors], wait):
                check_versions(*answer)
            [(address, port)] = self._all([actors[0].address.remote()], lambda _: stop())
            places = [self._place(rank, address, port) for rank in range(self.n)]
            computing = [
                actor.compute.remote(self.job, self.item, self.device, place)
                for actor, place in zip(actors, places, strict=True)
            ]
            result: ResultT = self._all(computing, lambda _: look())[0]
            return result
        finally:
            for actor in actors:
                self.ray.kill(actor)
            remove_placement_group(group)

    def _say_of_room(self, text: str) -> None:
        self.say(f"{text}; {self.n} of them together, placement: {self.engine.training_placement}")

    def _start(self, group: Any, rank: int) -> Any:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        where = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
        return self.ray.remote(max_restarts=0, scheduling_strategy=where, **options(self.needs))(_Rank).remote()

    def _place(self, rank: int, address: str, port: int) -> dict[str, str]:
        # each sees the GPU of its bundle alone, so that all are the first on their host
        mine = {"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": self.n, "LOCAL_WORLD_SIZE": 1}
        return {name: str(value) for name, value in mine.items()} | {"MASTER_ADDR": address, "MASTER_PORT": str(port)}

    def _all(self, references: Sequence[Any], look: Callable[[int], object]) -> list[Any]:
        """The answers, by rank.

        look        called at least once a second with the number of answers

        Lost        a rank is gone
        MepError    what a rank raised; another error of one comes as a RuntimeError, unless a peer was lost
        """
        from ray.exceptions import RayError, RayTaskError

        answers: dict[int, Any] = {}
        failure: Exception | None = None
        until = float("inf")
        waiting = list(references)
        while waiting and time.monotonic() < until:
            look(len(answers))
            done, waiting = self.ray.wait(waiting, timeout=1)
            for reference in done:
                rank = references.index(reference)
                try:
                    answers[rank] = self.ray.get(reference)
                except RayTaskError as error:
                    if isinstance(error.cause, MepError):
                        raise error.cause from error
                    failure = failure or RuntimeError(str(error))
                    until = min(until, time.monotonic() + SETTLE_S)
                except RayError as error:
                    raise Lost(rank, error) from error
        if failure:
            raise failure
        return [answers[rank] for rank in range(len(references))]
