"""From images to features: in shards that survive a kill, one batch prepared while the one before is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.machine.jobs import Job, map_ahead
from mep.machine.shards import Shards
from mep.machine.work import Work
from mep.methods.extractors import Extractor, Features, Network

ReadBatch = Callable[[Sequence[int]], "NDArray[np.uint8]"]
"""Rows -> uint8 (b, size, size, 3)."""

SQUARE = "shorter side pillow bicubic, anti-aliased, centre cropped"
"""How images reach the evaluation's resolution."""


def protocol_of(extractor: Extractor, d: int, size: int | None) -> dict[str, Any]:
    """The part of a row's protocol that the extractor and the resolution make; no size: images as they are."""
    protocol = extractor.protocol()
    first = "as they are" if size is None else f"{SQUARE} @{size}"
    return protocol | {
        "extractor": extractor.name,
        "digest": extractor.digest(),
        "d": d,
        "eval_resolution": size,
        "resize": f"{first}; {protocol['resize']}",
    }


def file_formats(names: Iterable[str]) -> str:
    """png, jpeg, png+jpeg: what the names of the images say of their files; empty where they say nothing."""
    formats = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".dcm": "dicom"}
    endings = {PurePosixPath(name.partition("#")[0]).suffix.lower() for name in names}  # an image in a file: a.dcm#0001
    return "+".join(sorted({formats.get(ending, ending[1:]) for ending in endings if ending and len(ending) < 6}))


@dataclass(frozen=True)
class Extraction(Job[Sequence[int], "NDArray[np.float32]"]):
    """Features of shards of rows, by whichever worker; `read` can be pickled."""

    read: ReadBatch
    extractor: Extractor
    batch_size: int
    whole_gpu: bool = False

    def prepare(self, device: str) -> Callable[[Sequence[int]], NDArray[np.float32]]:
        extract, readers = self.extractor.load(device), ThreadPoolExecutor(2, thread_name_prefix="read")
        mapper = partial(map_ahead, readers, n=4)
        return lambda rows: _shard(rows, self.read, extract, self.batch_size, mapper)


def features_of(name: str, read: ReadBatch, n: int, extract: Features | Extractor, work: Work) -> NDArray[np.float32]:
    """float32 (n, d): features of n squares, in resumable shards.

    extract     an extractor is loaded by every worker of the machine's engine, and `read` sent to it; with one that is
                loaded already all is done here

    DataError   some are not finite
    """
    shards = Shards(work, name, range(n))
    if isinstance(extract, Extractor):
        features = shards.map_unordered(Extraction(read, extract, work.machine.batch_size))
    else:
        features = shards.map(lambda rows: _shard(rows, read, extract, work.machine.batch_size, work.map))
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise DataError(
            f"the extractor gave {len(broken)} of {n} images features that are not finite ({name})",
            hint="look at these images, or try another extractor",
            field="metrics.extractors",
        )
    return features


def _shard(
    rows: Sequence[int], read: ReadBatch, extract: Features, batch_size: int, mapper: Callable[..., Iterator[Any]]
) -> NDArray[np.float32]:
    stacks = mapper(read, [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)])
    if not isinstance(extract, Network):
        return np.concatenate([extract(stack) for stack in stacks])
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as thread:
        return np.concatenate([extract.forward(ready) for ready in map_ahead(thread, extract.prepare, stacks, 3)])
