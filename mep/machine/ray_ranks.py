"""Several items on a Ray cluster, each computed by a team of ranks; as many teams at once as there is room for."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from mep.errors import EnvironmentLacks
from mep.machine.engines import ItemT, ResultT
from mep.machine.jobs import Job, Look, SayOf
from mep.machine.ray_cluster import MOST_NODES, Room
from mep.machine.ray_team import Lost, Places, Team
from mep.machine.workers import MAX_DEATHS, check_versions

if TYPE_CHECKING:
    from mep.machine.engines.ray import Ray

Ended: TypeAlias = tuple[int, ResultT | Exception]
"""The number of an item, and what its first rank gave or what they failed with."""


class Ranks(Generic[ItemT, ResultT]):
    """Teams, all asked for at once, so that a cluster which grows by itself sees how much is wanted. An item is taken
    only when a team is there to begin it."""

    def __init__(self, engine: Ray, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, device: str, say: SayOf):
        """n: teams at most"""
        self.engine, self.job, self.n, self.say = engine, job, n, say
        self.ray = engine.connected()
        self.device = engine.device_of(device)
        needs = engine.needs(self.device, whole_gpu=True)
        self.places = Places(engine.training_processes, needs, engine.training_placement.upper())
        self.fresh, self.returned = enumerate(items), deque[tuple[int, ItemT]]()
        self.losses: Counter[tuple[int | None, bool]] = Counter()
        self.teams: list[Team] = []

    def results(self, look: Look) -> Iterator[Ended[ResultT]]:
        """What comes of every item. When a rank of a team is lost all of the team are ended, and begin again.

        look    called at least once a second

        EnvironmentLacks    no room in time, or ranks are lost again and again before they are at an item
        """
        room = Room(self.ray, self.places.needs, self.engine.connect_timeout_s, self._say_of_room)
        try:
            self.teams += [Team(self.ray, self.places) for _ in range(self.n)]
            while self.teams:
                look(any(team.doing == "compute" for team in self.teams))
                n_placed = sum(team.is_placed() for team in self.teams)
                room.look(n_placed * self.places.n, len(self.teams) * self.places.n)
                waiting = [reference for team in self.teams for reference in team.waiting]
                done, _ = self.ray.wait(waiting, num_returns=1, timeout=1)
                for team in list(self.teams):
                    if team in self.teams:  # one before it may have found that nothing is left
                        yield from self._settle(team, done)
        finally:
            for team in self.teams:
                team.end()

    def _say_of_room(self, text: str) -> None:
        self.say(f"{text}; {self.places.n} of them together, placement: {self.engine.training_placement}", None)

    def _settle(self, team: Team, done: list[object]) -> Iterator[Ended[ResultT]]:
        """Take answers in, and give a team that has all of them what it does next."""
        try:
            for reference in [reference for reference in team.waiting if reference in done]:
                team.take_in(reference)
        except Lost as loss:
            yield from self._lost(team, loss)
            return
        outcome = team.outcome
        if outcome is None:
            return
        if team.doing == "begin":
            self._begun(team, outcome)
            return
        assert team.lease is not None
        yield team.lease[0], outcome if isinstance(outcome, Exception) else outcome[0]
        if self._has_item(team):
            team.begin()

    def _begun(self, team: Team, outcome: list[Any] | Exception) -> None:
        """Set ranks that have begun to an item."""
        if isinstance(outcome, Exception):
            raise outcome
        for their_versions, host, _ in outcome:
            check_versions(their_versions, host)
        if team.lease or self._has_item(team):
            team.compute(self.job, self.device)

    def _has_item(self, team: Team) -> bool:
        """Whether there is another item for a team. Otherwise it is ended, with those that only wait for room."""
        team.lease = self.returned.popleft() if self.returned else next(self.fresh, None)
        if team.lease is None:
            for idle in [other for other in self.teams if other.lease is None]:
                self._end(idle)
        return team.lease is not None

    def _end(self, team: Team) -> None:
        self.teams.remove(team)
        team.end()

    def _lost(self, team: Team, loss: Lost) -> Iterator[Ended[ResultT]]:
        """End a team that has lost a rank, and ask for another one."""
        number = team.lease[0] if team.lease else None
        self.losses[number, loss.by_its_node] += 1
        times = self.losses[number, loss.by_its_node]
        if times >= (MOST_NODES if loss.by_its_node else MAX_DEATHS):
            hint = "most often memory is short: lower machine.micro_batch, or raise machine.engine.memory_gb"
            error = EnvironmentLacks(f"{times} times, {loss}", hint=hint)
            if number is None:
                raise error from loss
            yield number, error
            if not self._has_item(team):
                return
        else:
            self.say(f"for {self.places.n} ranks to begin again where they can go on: {loss}", number)
        if team.lease:
            self.returned.append(team.lease)
        self._end(team)
        self.teams.append(Team(self.ray, self.places))
