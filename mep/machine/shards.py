"""Rows that take long to compute, kept on disk shard by shard: a killed run computes only the missing shards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import numpy as np

from mep.machine.files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.machine.jobs import Job
    from mep.machine.work import Work

ItemT = TypeVar("ItemT")
RowsT = TypeVar("RowsT", bound="NDArray[np.generic]")
"""An array whose first axis counts the items."""

CPU_SHARD = 2048  # items of a shard where each of them is fast
PIECE = 32  # items of a shard that a CPU worker computes before it sends its rows


@dataclass(frozen=True)
class Shards(Generic[ItemT]):
    """Rows for all items, in shards of a folder of `work`. Each verb gives them as one array."""

    work: Work
    name: str
    items: Sequence[ItemT]
    size: int = 512

    def map(self, function: Callable[[Sequence[ItemT]], RowsT]) -> RowsT:
        """Compute the missing shards here, one after the other."""
        return self._complete(lambda shards: enumerate(map(function, shards)))

    def map_unordered(self, job: Job[Sequence[ItemT], RowsT]) -> RowsT:
        """Compute the missing shards on the workers of the machine's engine."""
        return self._complete(lambda shards: self.work.map_unordered(job, shards))

    def map_cpu(self, job: Job[Sequence[ItemT], RowsT]) -> RowsT:
        """Compute the missing shards on CPU processes; a kill or a signal loses those that are not complete."""

        def compute(shards: Iterator[Sequence[ItemT]]) -> Iterator[tuple[int, RowsT]]:
            numbered = enumerate(shards)
            pieces = [(n, shard[at : at + PIECE]) for n, shard in numbered for at in range(0, len(shard), PIECE)]
            missing = Counter(number for number, _ in pieces)
            computed: dict[int, dict[int, RowsT]] = defaultdict(dict)
            for position, rows in self.work.map_cpu(job, [piece for _, piece in pieces]):
                number = pieces[position][0]
                computed[number][position] = rows
                missing[number] -= 1
                if not missing[number]:
                    in_order = [rows for _, rows in sorted(computed.pop(number).items())]
                    yield number, cast(RowsT, np.concatenate(in_order))

        return self._complete(compute)

    def _complete(self, compute: Callable[[Iterator[Sequence[ItemT]]], Iterator[tuple[int, RowsT]]]) -> RowsT:
        folder = self.work.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        n_items = len(self.items)
        paths = {start: folder / f"{start:09d}.npy" for start in range(0, n_items, self.size)}
        missing = [start for start, path in paths.items() if not _is_whole(path)]
        shards = (self.items[start : start + self.size] for start in missing)
        for n_done, (number, rows) in enumerate(compute(shards), len(paths) - len(missing) + 1):
            save_array(paths[missing[number]], rows)
            self.work.progress.update(min(n_done * self.size, n_items), n_items)
            self.work.stop_if_asked()
        return cast(RowsT, _joined(list(paths.values()), folder.with_suffix(".npy")))


def _joined(paths: list[Path], target: Path) -> object:
    """The rows of all shards as one array on disk, mapped into memory: it may be larger than the memory."""
    if len(paths) == 1:
        return np.load(paths[0], allow_pickle=False)
    shards = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    shape = (sum(map(len, shards)), *shards[0].shape[1:])
    joined = np.lib.format.open_memmap(target, mode="w+", dtype=shards[0].dtype, shape=shape)
    start = 0
    for shard in shards:
        joined[start : start + len(shard)] = shard
        start += len(shard)
    joined.flush()
    return np.load(target, mmap_mode="c", allow_pickle=False)


def _is_whole(path: Path) -> bool:
    """Whether an array is there with all its bytes: a power cut can tear what a kill cannot."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return False
    return True


def save_array(path: Path, array: NDArray[np.generic]) -> None:
    write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))
