"""A Ray cluster: one worker for each GPU, or for a number of CPU cores, on any number of hosts."""

import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, Generic, Literal, NamedTuple, TypeAlias

from pydantic import Field

from mep.errors import EnvironmentLacks, MepError
from mep.machine.cluster_head import wait_for
from mep.machine.engines import MIN_PIECES, Engine, ItemT, ResultT
from mep.machine.jobs import Job, Say, Stop, run_in_process, silent
from mep.machine.ray_cluster import GB, MOST_NODES, Room, is_node_lost, options
from mep.machine.workers import MAX_DEATHS, Leases, check_versions, versions

START = "start a cluster with: ray start --head --port=6379, and on every other host: ray start --address=HOST:6379"
_connected_to: str | None = None
"""What this process has connected itself to."""


class Ray(Engine):
    """Actors on a Ray cluster (Moritz et al. 2018, arXiv:1712.05889); install it with: pip install 'mep[ray]'.

    Workers read models and images by their paths, so that these and the folder of runs lie on a file system that all
    hosts share. Results come back to the driver, which alone writes them.
    """

    kind: Literal["ray"]
    address: str | None = Field(None, pattern=r"^(auto|[^:/\s]+:\d{1,5})$")
    """HOST:PORT of a running cluster, or auto for the one on this machine. Default: one is started for the run."""
    actors: int | None = Field(None, ge=1, le=100_000)
    """Workers. Default: as many as the cluster has GPUs; without GPUs, as many as its cores allow."""
    cpus_per_actor: int = Field(1, ge=1, le=1024)
    """Cores of a worker."""
    memory_gb: float | None = Field(None, gt=0, le=65_536)
    """Memory of a worker: Ray begins it where that much is left. Default: no matter how much."""
    gpu_share: float = Field(1, gt=0, le=1)
    """The part of a GPU that a worker asks for which only embeds or measures; 0.25 puts four on one GPU. Training and
    generation have a whole one."""
    training_processes: int = Field(1, ge=1, le=1024)
    """Processes that train one model together on the cluster, each with a GPU or its cores. Default: training stays in
    one process."""
    training_placement: Literal["pack", "spread", "strict_pack", "strict_spread"] = "pack"
    """Where these begin: on as few nodes as there is room (pack) or on as many (spread); strict: all on one node, or
    each on a node of its own, and else not at all."""
    connect_timeout_s: float = Field(30, gt=0, le=3600)
    """Seconds that the cluster may take to answer, and then to make room for the first worker."""

    def require(self) -> None:
        """EnvironmentLacks: Ray is not installed, or nothing answers at the address."""
        _import()
        if self.address not in (None, "auto"):
            wait_for(str(self.address), self.connect_timeout_s, hint=START)

    def map_unordered(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], *, device: str, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        yield from _Spread(self, job, items, device, _Crew()).results(stop, say)

    def map_side_by_side(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        # all n are asked for, whatever room there is: a cluster that grows by itself sees that it has to
        wide = self.model_copy(update={"actors": n})
        return _Spread(wide, job, items, device, _Crew(ahead=0)).results(stop, say)

    def map_cpu(
        self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        if len(items) < MIN_PIECES:
            return run_in_process(job, items, "cpu", stop)
        return _Spread(self, job, items, "cpu", _Crew(most=len(items) // MIN_PIECES)).results(stop, say)

    @property
    def trains_together(self) -> bool:
        return self.training_processes > 1

    def compute_together(
        self, job: Job[ItemT, ResultT], item: ItemT, *, device: str, stop: Stop, look: Stop, say: Say
    ) -> ResultT:
        from mep.machine.ray_ranks import Ranks

        return Ranks(self, job, item, device, say).result(stop, look)

    def device_of(self, asked: str) -> str:
        """cuda or cpu: where the workers compute; a GPU that is asked for is waited for."""
        there = asked != "cpu" and self.connected().cluster_resources().get("GPU", 0) >= 1
        return "cuda" if there or asked.startswith("cuda") else "cpu"

    def needs(self, device: str, *, whole_gpu: bool) -> dict[str, float]:
        """What a worker asks for, in Ray's resources."""
        needs: dict[str, float] = {"CPU": self.cpus_per_actor}
        if device == "cuda":
            needs["GPU"] = 1 if whole_gpu else self.gpu_share
        return needs if self.memory_gb is None else needs | {"memory": int(self.memory_gb * GB)}

    def connected(self) -> ModuleType:
        """The module `ray`, connected for as long as this process lives: starting a cluster takes seconds.

        A connection that somebody else made is used as it is.

        EnvironmentLacks    ray is not installed, or the cluster does not answer in time
        """
        global _connected_to
        ray = _import()
        address = self.address or "local"
        if ray.is_initialized() and _connected_to in (None, address):
            return ray
        if address not in ("local", "auto"):
            wait_for(address, self.connect_timeout_s, hint=START)
        ray.shutdown()
        settings = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        if address == "local":
            settings["include_dashboard"] = False
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, **settings)
        except (ConnectionError, RuntimeError) as error:
            raise EnvironmentLacks(f"no Ray cluster at {address}: {error}", hint=START) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray's own would end a run where it stands
        _connected_to = address
        return ray


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


class _Crew(NamedTuple):
    """Workers at most, and items that wait at each."""

    most: int | None = None
    ahead: int = 1


class _Spread(Generic[ItemT, ResultT]):
    """One map over the cluster: its actors, and what each has been asked."""

    def __init__(
        self,
        engine: Ray,
        job: Job[ItemT, ResultT],
        items: Iterable[ItemT],
        device: str,
        crew: _Crew,
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


def _import() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise EnvironmentLacks("the engine 'ray' needs Ray", hint="pip install 'mep[ray]'") from error
    return ray
