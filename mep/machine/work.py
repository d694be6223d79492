"""What a stage gets besides its inputs."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from mep.errors import Interrupted
from mep.machine.devices import resolve_device
from mep.machine.jobs import Job, Say, silent
from mep.machine.settings import ONE_PROCESS, MachineConfig

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Progress(Protocol):
    """Where a stage says how far it is; the console draws it."""

    def update(self, done: int, total: int, note: str = "") -> None: ...


class NullProgress:
    def update(self, done: int, total: int, note: str = "") -> None:
        """Draw nothing."""


@dataclass
class Work:
    """What a stage gets besides its inputs: a folder for unfinished work, randomness, the machine, progress.

    folder      scratch that survives an interruption and is removed after the commit
    seed        the recipe's seed
    machine     device, batch sizes and engine; none of them changes a result
    stop_signal the number of the signal that asked for a stop, if one did
    cache       folder of what can be computed again at any time, shared by all runs
    lineage     stage -> settings, seed and outside content, of this stage and of all before it; for the model card
    say         told what the work waits for, on a cluster
    earlier     folders of results of the same stage that differ only in its extendable fields
    """

    folder: Path
    seed: int = 0
    machine: MachineConfig = ONE_PROCESS
    progress: Progress = field(default_factory=NullProgress)
    stop_signal: Callable[[], int | None] = lambda: None
    cache: Path | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)
    earlier: Sequence[Path] = ()
    say: Say = silent

    @property
    def out(self) -> Path:
        """The folder that becomes the artifact when the stage returns."""
        folder = self.folder / "out"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def device(self) -> str:
        return resolve_device(self.machine.device)

    def cache_for(self, name: str) -> Path:
        """A folder under `cache`, or in the scratch of this stage where there is no common one."""
        return (self.cache or self.folder / "cache") / name

    def seed_for(self, *names: str | int) -> int:
        """A seed of its own for every name: the same whatever the order, batch size or number of attempts."""
        text = "/".join(str(name) for name in (self.seed, *names))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def rng(self, *names: str | int) -> np.random.Generator:
        return np.random.default_rng(self.seed_for(*names))

    def map(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """`Engine.map`, on threads of this process."""
        return self.machine.engine.map(function, items)

    def map_unordered(self, job: Job[ItemT, ResultT], items: Iterable[ItemT]) -> Iterator[tuple[int, ResultT]]:
        """`Engine.map_unordered`, until a signal asks for a stop; what was yielded before must be on disk by then."""
        engine = self.machine.engine
        return engine.map_unordered(job, items, device=self.machine.device, stop=self.stop_if_asked, say=self.say)

    def map_cpu(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[tuple[int, ResultT]]:
        """`Engine.map_cpu`, until a signal asks for a stop."""
        return self.machine.engine.map_cpu(job, items, stop=self.stop_if_asked, say=self.say)

    def stop_if_asked(self) -> None:
        """Raise Interrupted when a signal asked for a stop; call it where everything worth keeping is on disk."""
        if (signal_number := self.stop_signal()) is not None:
            raise Interrupted(signal_number)
