"""Rows that take long to compute, kept on disk shard by shard: a killed run computes only the missing shards."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mep.machine.files import write_atomically
from mep.machine.jobs import Job
from mep.machine.work import Work

ItemT = TypeVar("ItemT")
Rows = NDArray[Any]
"""An array of any type whose first axis counts the items."""
ShardJob = Job[Sequence[ItemT], Rows]

CPU_SHARD = 2048
"""Items of a shard where each of them is fast."""
PIECE = 32
"""Items of a shard that a CPU worker computes before it sends its rows."""


@dataclass(frozen=True)
class Shards(Generic[ItemT]):
    """Rows for all items, in shards of a folder of `work`. Each verb gives the rows of all items as one array."""

    work: Work
    name: str
    items: Sequence[ItemT]
    size: int = 512

    def map(self, function: Callable[[Sequence[ItemT]], Rows]) -> Rows:
        """Compute the missing shards here, one after the other."""
        return self._complete(lambda shards: enumerate(map(function, shards)))

    def map_unordered(self, job: ShardJob[ItemT]) -> Rows:
        """Compute the missing shards on the workers of the machine's engine."""
        return self._complete(lambda shards: self.work.map_unordered(job, shards))

    def map_cpu(self, job: ShardJob[ItemT]) -> Rows:
        """Compute the missing shards on CPU processes, which take a few items of a shard at once.

        A kill or a signal loses the rows of shards that are not complete.
        """

        def compute(shards: Iterator[Sequence[ItemT]]) -> Iterator[tuple[int, Rows]]:
            pieces = [
                (number, shard[start : start + PIECE])
                for number, shard in enumerate(shards)
                for start in range(0, len(shard), PIECE)
            ]
            n_pieces = Counter(number for number, _ in pieces)
            computed: dict[int, dict[int, Rows]] = defaultdict(dict)
            for position, rows in self.work.map_cpu(job, [piece for _, piece in pieces]):
                number = pieces[position][0]
                computed[number][position] = rows
                if len(computed[number]) == n_pieces[number]:
                    yield number, np.concatenate([rows for _, rows in sorted(computed.pop(number).items())])

        return self._complete(compute)

    def _complete(self, compute: Callable[[Iterator[Sequence[ItemT]]], Iterator[tuple[int, Rows]]]) -> Rows:
        folder = self.work.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        n_items = len(self.items)
        paths = {start: folder / f"{start:09d}.npy" for start in range(0, n_items, self.size)}
        missing = [start for start, path in paths.items() if not _is_whole(path)]
        shards = (self.items[start : start + self.size] for start in missing)
        for n_done, (number, rows) in enumerate(compute(shards), len(paths) - len(missing) + 1):
            _save(paths[missing[number]], rows)
            self.work.progress.update(min(n_done * self.size, n_items), n_items)
            self.work.stop_if_asked()
        return _joined(list(paths.values()), folder.with_suffix(".npy"))


def _joined(paths: list[Path], target: Path) -> Rows:
    """The rows of all shards as one array on disk, mapped into memory: it may be larger than the memory."""
    if len(paths) == 1:
        return cast(Rows, np.load(paths[0], allow_pickle=False))
    shards = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    shape = (sum(len(shard) for shard in shards), *shards[0].shape[1:])
    joined = np.lib.format.open_memmap(target, mode="w+", dtype=shards[0].dtype, shape=shape)
    start = 0
    for shard in shards:
        joined[start : start + len(shard)] = shard
        start += len(shard)
    joined.flush()
    return cast(Rows, np.load(target, mmap_mode="c", allow_pickle=False))


def _is_whole(path: Path) -> bool:
    """Whether an array is there with all its bytes: a power cut can tear what a kill cannot."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return False
    return True


def _save(path: Path, rows: Rows) -> None:
    write_atomically(path, lambda file: np.save(file, rows, allow_pickle=False))
