"""Arrays kept by content: the same input under the same settings is computed once, whoever asks.

A cache is a folder of shards. A shard is written once and never changed: `<digest>.npy`, memory-mapped when read, and
`<digest>.json` with the keys of its rows, which is written last and makes it count. What a row depends on besides its
key belongs into the name of the folder, so that nothing in it can be out of date. Any of it may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.config import digest
from mep.machine.files import read_json, sha256_of, write_atomically, write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.machine.work import Work

SHARD_ROWS = 256


@dataclass(frozen=True)
class ShardRow:
    """Where a row lies: the name of its shard, and its number there."""

    shard: str
    row: int


class ArrayCache:
    """Rows of equal shape by key."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, shard: str) -> Path:
        return self.folder / f"{shard}.npy"

    def find(self, keys: Sequence[str]) -> dict[str, ShardRow]:
        """Where the rows of those keys lie that are there; shards that a disk has damaged are removed."""
        missing, rows = set(keys), dict[str, ShardRow]()
        for listing in sorted(self.folder.glob("*.json")):
            content = read_json(listing)
            matches = [(key, row) for row, key in enumerate(content["keys"]) if key in missing]
            if matches and self._intact(listing.stem, content["sha256"]):
                rows |= {key: ShardRow(listing.stem, row) for key, row in matches}
                missing -= rows.keys()
        return rows

    def fill(
        self, keys: Sequence[str], compute: Callable[[Sequence[int]], NDArray[Any]], work: Work
    ) -> dict[str, ShardRow]:
        """Where the rows of all keys lie; missing ones are computed shard by shard, so that a kill costs one shard.

        compute     positions in `keys` -> one row each
        """
        rows = self.find(keys)
        first = {key: position for position, key in reversed(list(enumerate(keys)))}
        missing = [position for key, position in sorted(first.items(), key=lambda item: item[1]) if key not in rows]
        n_cached = len(first) - len(missing)
        for start in range(0, len(missing), SHARD_ROWS):
            work.stop_if_asked()
            positions = missing[start : start + SHARD_ROWS]
            shard_keys = [keys[position] for position in positions]
            name = self._add(shard_keys, compute(positions))
            rows |= {key: ShardRow(name, row) for row, key in enumerate(shard_keys)}
            work.progress.update(n_cached + start + len(positions), len(first))
        return rows

    def read(self, shard: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.path(shard), mmap_mode="r", allow_pickle=False)
        return array

    def _add(self, keys: list[str], rows: NDArray[Any]) -> str:
        name = digest(keys)[:32]
        write_atomically(self.path(name), lambda file: np.save(file, rows, allow_pickle=False))
        write_json(self.folder / f"{name}.json", {"sha256": sha256_of(self.path(name)), "keys": keys})
        return name

    def _intact(self, shard: str, sha256: str) -> bool:
        path = self.path(shard)
        if path.exists() and sha256_of(path) == sha256:
            return True
        path.unlink(missing_ok=True)
        (self.folder / f"{shard}.json").unlink(missing_ok=True)
        return False
