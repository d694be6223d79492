"""A Ray cluster: one worker for each GPU, or for a number of CPU cores, on any number of hosts."""

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Literal

from pydantic import Field

from mep.errors import EnvironmentLacks
from mep.machine.cluster_head import wait_for
from mep.machine.engines import MIN_PIECES, Engine, ItemT, ResultT
from mep.machine.jobs import Job, Look, Say, SayOf, Stop, run_in_process, silent
from mep.machine.ray_cluster import GB

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
        from mep.machine.ray_spread import Crew, Spread

        yield from Spread(self, job, items, device, Crew()).results(stop, say)

    def map_side_by_side(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, look: Look, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        from mep.machine.ray_spread import Crew, Spread

        # all n are asked for, whatever room there is: a cluster that grows by itself sees that it has to
        wide = self.model_copy(update={"actors": n})
        spread = Spread(wide, job, items, device, Crew(ahead=0))
        return spread.results(lambda: look(spread.leases.any_out), say)

    def map_cpu(
        self, job: Job[ItemT, ResultT], items: Sequence[ItemT], *, stop: Stop, say: Say = silent
    ) -> Iterator[tuple[int, ResultT]]:
        if len(items) < MIN_PIECES:
            return run_in_process(job, items, "cpu", stop)
        from mep.machine.ray_spread import Crew, Spread

        return Spread(self, job, items, "cpu", Crew(most=len(items) // MIN_PIECES)).results(stop, say)

    @property
    def trains_together(self) -> bool:
        return self.training_processes > 1

    def map_together(
        self, job: Job[ItemT, ResultT], items: Iterable[ItemT], n: int, *, device: str, look: Look, say: SayOf
    ) -> Iterator[tuple[int, ResultT | Exception]]:
        from mep.machine.ray_ranks import Ranks

        return Ranks(self, job, items, n, device, say).results(look)

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


def _import() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise EnvironmentLacks("the engine 'ray' needs Ray", hint="pip install 'mep[ray]'") from error
    return ray
