"""What a stage gets besides its inputs."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mep.errors import Interrupted
from mep.machine.files import write_atomically
from mep.machine.settings import TrainingMachine
from mep.machine.workers import Job, in_process

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
PIECE = 32
"""Images that a worker measures before it hands its findings on."""


class Progress(Protocol):
    """Where a stage says how far it is; the console draws it."""

    def update(self, done: int, total: int, note: str = "") -> None: ...


class Silent:
    """Progress that nobody watches."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """Draw nothing."""


@dataclass
class Work:
    """What a stage gets besides its inputs: a place for unfinished work, randomness, machine settings, progress.

    out      folder that becomes the artifact when the stage returns
    folder   scratch that survives an interruption and is removed after the commit
    seed     the recipe's seed
    cache    folder of what can be computed again at any time, shared by all runs
    lineage  stage -> settings, seed and outside content of this stage and of all before it
    earlier  folders of results of the same stage that differ only in its extendable fields
    """

    folder: Path
    seed: int = 0
    device: str = "cpu"
    batch_size: int = 32
    checkpoint_every_s: float = 30.0
    progress: Progress = field(default_factory=Silent)
    machine: TrainingMachine = field(default_factory=TrainingMachine)
    cache: Path | None = None
    lineage: dict[str, Any] = field(default_factory=dict)
    stop_signal: Callable[[], int | None] = lambda: None
    mapper: Callable[..., Iterator[Any]] | None = None
    spreader: Callable[..., Iterator[tuple[int, Any]]] | None = None
    measurer: Callable[..., Iterator[tuple[int, Any]]] | None = None
    earlier: Sequence[Path] = ()
    generation_batch_size: int | None = None
    decode_batch_size: int = 8

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of the model that is trained, and not the whole."""
        return self.machine.sharded

    @property
    def out(self) -> Path:
        folder = self.folder / "out"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

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
        """Results in the order of the items, computed by the machine's engine."""
        yield from self.mapper(function, items) if self.mapper else map(function, items)

    def spread(self, job: Job[ItemT, ResultT], items: Iterable[ItemT]) -> Iterator[tuple[int, ResultT]]:
        """(position, result) of every item exactly once, as the workers of the machine's engine finish.

        Interrupted     a signal asked for a stop; what was yielded before is to be on disk by then
        """
        if self.spreader:
            return self.spreader(job, items, stop=self.stop_if_asked)
        return in_process(job, items, self.device, self.stop_if_asked)

    def measure(self, job: Job[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[tuple[int, ResultT]]:
        """As `spread`, of a job that reads and measures images and needs no device."""
        if self.measurer:
            return self.measurer(job, items, stop=self.stop_if_asked)
        return in_process(job, items, "cpu", self.stop_if_asked)

    def stop_if_asked(self) -> None:
        """Raise Interrupted when a signal asked for a stop; call it where everything worth keeping is on disk."""
        signal_number = self.stop_signal()
        if signal_number is not None:
            raise Interrupted(signal_number)

    def in_shards(
        self,
        name: str,
        items: Sequence[ItemT],
        compute: Callable[[Sequence[ItemT]], NDArray[Any]] | Job[Sequence[ItemT], NDArray[Any]],
        *,
        size: int = 512,
    ) -> NDArray[Any]:
        """Rows for all items, computed and kept shard by shard: a killed run computes only the missing shards.

        A function computes here; a job on the workers of the machine's engine.
        """

        def computed(shards: Iterator[Sequence[ItemT]]) -> Iterator[tuple[int, NDArray[Any]]]:
            return self.spread(compute, shards) if isinstance(compute, Job) else enumerate(map(compute, shards))

        return self._in_shards(name, items, computed, size)

    def measured(
        self, name: str, items: Sequence[ItemT], job: Job[Sequence[ItemT], NDArray[Any]], *, size: int = 2048
    ) -> NDArray[Any]:
        """Rows for all items as `in_shards` gives them, of a job that measures: workers take a few items at once.

        A kill or a signal loses what is measured of shards that are not whole.
        """

        def computed(shards: Iterator[Sequence[ItemT]]) -> Iterator[tuple[int, NDArray[Any]]]:
            pieces = [
                (number, shard[start : start + PIECE])
                for number, shard in enumerate(shards)
                for start in range(0, len(shard), PIECE)
            ]
            missing = Counter(number for number, _ in pieces)
            found: dict[int, dict[int, NDArray[Any]]] = defaultdict(dict)
            for place, rows in self.measure(job, [piece for _, piece in pieces]):
                number = pieces[place][0]
                found[number][place] = rows
                if len(found[number]) == missing[number]:
                    yield number, np.concatenate([rows for _, rows in sorted(found.pop(number).items())])

        return self._in_shards(name, items, computed, size)

    def _in_shards(
        self,
        name: str,
        items: Sequence[ItemT],
        computed: Callable[[Iterator[Sequence[ItemT]]], Iterator[tuple[int, NDArray[Any]]]],
        size: int,
    ) -> NDArray[Any]:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        paths = {start: folder / f"{start:09d}.npy" for start in range(0, len(items), size)}
        missing = [start for start, path in paths.items() if not _is_whole(path)]
        shards = (items[start : start + size] for start in missing)
        for done, (number, rows) in enumerate(computed(shards), len(paths) - len(missing) + 1):
            _save_array(paths[missing[number]], rows)
            self.progress.update(min(done * size, len(items)), len(items))
            self.stop_if_asked()
        return _joined(list(paths.values()), folder.with_suffix(".npy"))


def _joined(paths: list[Path], target: Path) -> NDArray[Any]:
    """The rows of all shards as one array on disk, mapped into memory: it may be larger than that."""
    if len(paths) == 1:
        return cast(NDArray[Any], np.load(paths[0], allow_pickle=False))
    shards = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    shape = (sum(len(shard) for shard in shards), *shards[0].shape[1:])
    whole = np.lib.format.open_memmap(target, mode="w+", dtype=shards[0].dtype, shape=shape)
    start = 0
    for shard in shards:
        whole[start : start + len(shard)] = shard
        start += len(shard)
    whole.flush()
    return cast(NDArray[Any], np.load(target, mmap_mode="c", allow_pickle=False))


def _is_whole(path: Path) -> bool:
    """Whether an array is there with all its bytes: a power cut can tear what a kill cannot."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return False
    return True


def _save_array(path: Path, array: NDArray[Any]) -> None:
    write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))
