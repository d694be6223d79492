"""Rows kept by content, in shards `<digest>.npy`; `<digest>.json`, with the keys, is written last and makes one count.

What a row depends on besides its key belongs into the name of the folder. Any of it may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mep.config import digest
from mep.machine.files import read_json, sha256_of, write_json
from mep.machine.shards import save_array

if TYPE_CHECKING:
    from mep.machine.work import Work

SHARD_ROWS = 256


Rows: TypeAlias = NDArray[Any]


class ShardRow(NamedTuple):
    """Where a row lies: the name of its shard, and its number there."""

    shard: str
    row: int


class ArrayCache:
    """Rows of equal shape and type, by key."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, shard: str) -> Path:
        return self.folder / f"{shard}.npy"

    def find(self, keys: Sequence[str]) -> dict[str, ShardRow]:
        """Where the rows of those keys lie that are there; shards that a disk has damaged are removed."""
        missing, rows = set(keys), dict[str, ShardRow]()
        for listing in sorted(self.folder.glob("*.json")):
            content, path = read_json(listing), self.path(listing.stem)
            matches = {key: ShardRow(listing.stem, row) for row, key in enumerate(content["keys"]) if key in missing}
            if matches and path.exists() and sha256_of(path) == content["sha256"]:
                rows |= matches
                missing -= matches.keys()
            elif matches:
                path.unlink(missing_ok=True)
                listing.unlink(missing_ok=True)
        return rows

    def fill(self, keys: Sequence[str], compute: Callable[[Sequence[int]], Rows], work: Work) -> dict[str, ShardRow]:
        """Where the rows of all keys lie; missing ones are computed shard by shard, so that a kill costs one shard.

        compute     positions in `keys` -> one row each
        """
        rows = self.find(keys)
        first = {key: position for position, key in reversed(list(enumerate(keys)))}
        missing = sorted(position for key, position in first.items() if key not in rows)
        n_cached = len(first) - len(missing)
        for start in range(0, len(missing), SHARD_ROWS):
            work.stop_if_asked()
            positions = missing[start : start + SHARD_ROWS]
            shard_keys = [keys[position] for position in positions]
            name = digest(shard_keys)[:32]
            save_array(self.path(name), compute(positions))
            write_json(self.folder / f"{name}.json", {"sha256": sha256_of(self.path(name)), "keys": shard_keys})
            rows |= {key: ShardRow(name, row) for row, key in enumerate(shard_keys)}
            work.progress.update(n_cached + start + len(positions), len(first))
        return rows

    def read(self, shard: str) -> NDArray[np.float32]:
        return cast(NDArray[np.float32], np.load(self.path(shard), mmap_mode="r", allow_pickle=False))
