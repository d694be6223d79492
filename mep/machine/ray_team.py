"""A team on a Ray cluster: ranks that compute one item together, each in a bundle of one placement group."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Literal, NamedTuple

from mep.errors import Interrupted, MepError
from mep.machine.jobs import Job
from mep.machine.ray_cluster import is_node_lost, options
from mep.machine.workers import versions

SETTLE_S = 60.0
"""When a rank fails because its peer is gone, Ray may need that long to say that the peer's node is lost; and the first
may need it to write a checkpoint when all were asked to stop."""


class _Rank:
    """A process of its own; it computes once."""

    def begin(self, is_first: bool) -> tuple[dict[str, str], str, dict[str, str]]:
        """Its versions and its host; of the first rank, also where the others find it."""
        return versions(), socket.gethostname(), self._meeting_place() if is_first else {}

    def _meeting_place(self) -> dict[str, str]:
        """Opened here and now, as torchrun opens it for its ranks: a port that is only chosen may be taken before a
        rank comes to use it."""
        from ray.util import get_node_ip_address
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        address = str(get_node_ip_address())  # type: ignore[no-untyped-call]
        self.store = TCPStore(address, 0, is_master=True, wait_for_workers=False)
        opened = {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
        return {"MASTER_ADDR": address, "MASTER_PORT": str(self.store.port), **opened}

    def compute(self, job: Job[Any, object], item: object, device: str, place: dict[str, str]) -> object:
        os.environ.update(place)
        return job.finish(job.prepare(device)(item))


class Lost(Exception):
    """A rank is gone, and with it the work of all."""

    def __init__(self, rank: int, error: Exception):
        super().__init__(f"rank {rank} was lost: {type(error).__name__}")
        self.by_its_node = is_node_lost(error)


class Places(NamedTuple):
    """What a team takes of a cluster.

    needs       of a rank, in Ray's resources
    strategy    of the placement, as Ray calls it
    """

    n: int
    needs: dict[str, float]
    strategy: str


class Team:
    """Ranks that have been asked for, then have begun, then compute.

    lease   the item that is theirs, and its number
    """

    def __init__(self, ray: ModuleType, places: Places):
        from ray.util.placement_group import placement_group

        self.ray, self.places = ray, places
        self.lease: tuple[int, Any] | None = None
        self.group = placement_group([places.needs] * places.n, strategy=places.strategy)
        self.actors: list[Any] = []
        self.placed = False
        self.begin()

    def begin(self) -> None:
        """Start new processes in the same places."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self._dismiss()
        for rank in range(self.places.n):
            where = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=rank)
            settings = options(self.places.needs) | {"max_restarts": 0, "scheduling_strategy": where}
            self.actors.append(self.ray.remote(**settings)(_Rank).remote())
        self._ask("begin", (actor.begin.remote(rank == 0) for rank, actor in enumerate(self.actors)))

    def compute(self, job: Job[Any, Any], device: str) -> None:
        """Set the ranks, which have begun, to their item."""
        assert self.lease is not None
        meeting_place, n = self.answers[0][2], self.places.n
        # each sees the GPU of its bundle alone, so that all are the first on their host
        own = [{"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": 1} for rank in range(n)]
        places = [meeting_place | {name: str(value) for name, value in mine.items()} for mine in own]
        item = self.lease[1]
        pairs = zip(self.actors, places, strict=True)
        self._ask("compute", [actor.compute.remote(job, item, device, place) for actor, place in pairs])

    def _ask(self, what: Literal["begin", "compute"], references: Iterable[Any]) -> None:
        self.doing, self.asked = what, list(references)
        self.answers: dict[int, Any] = {}
        self.failures: dict[int, Exception] = {}
        self.until = float("inf")

    @property
    def waiting(self) -> list[Any]:
        """References to the answers that are not here yet."""
        return [asked for rank, asked in enumerate(self.asked) if rank not in self.answers | self.failures]

    def take_in(self, reference: Any) -> None:
        """Take the answer of a rank in.

        Lost    the rank is gone
        """
        from ray.exceptions import RayError, RayTaskError

        rank = self.asked.index(reference)
        try:
            self.answers[rank] = self.ray.get(reference)
        except RayTaskError as error:
            known = isinstance(error.cause, MepError)
            self.failures[rank] = error.cause if known else RuntimeError(str(error))
            patient = not known or (rank > 0 and isinstance(error.cause, Interrupted))
            self.until = min(self.until, time.monotonic() + (SETTLE_S if patient else 0))
        except RayError as error:
            raise Lost(rank, error) from error

    @property
    def outcome(self) -> list[Any] | Exception | None:
        """What the ranks answered, or what they failed with; None while that is open.

        A failure that mep knows counts before another one, which may come of it.
        """
        if self.waiting and time.monotonic() < self.until:
            return None
        if self.failures:
            by_rank = [error for _, error in sorted(self.failures.items())]
            return min(by_rank, key=lambda error: not isinstance(error, MepError))
        return [self.answers[rank] for rank in range(self.places.n)]

    def is_placed(self) -> bool:
        """Whether there is room for all of them; then they only have to begin."""
        from ray.util.placement_group import placement_group_table

        self.placed = self.placed or placement_group_table(self.group)["state"] == "CREATED"
        return self.placed

    def end(self) -> None:
        from ray.util.placement_group import remove_placement_group

        self._dismiss()
        remove_placement_group(self.group)

    def _dismiss(self) -> None:
        for actor in self.actors:
            self.ray.kill(actor)
        self.actors = []
