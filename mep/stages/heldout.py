"""Held-out embedding: vectors of held-out images, in which generated ones are compared with what they can reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.artifacts import BaseModel, HeldOutEmbeddings, Images
from mep.errors import DataError
from mep.stage import Work, stage
from mep.stages.embedding import EmbeddingConfig
from mep.stages.references import Squares, reconstructor
from mep.workers import Job, ahead

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = Callable[[Sequence[int]], Iterable["NDArray[np.uint8]"]]
"""Rows -> uint8 RGB images (h, w, 3) of any size; it can be pickled."""


@stage(version=1, section="embedding")
def heldout(config: EmbeddingConfig, images: Images, base: BaseModel, *, work: Work) -> HeldOutEmbeddings:
    """Embed held-out images as they are, at the resolution of the model, and after a pass through its autoencoder."""
    held_out = images.held_out
    original, resized = Originals(held_out), Squares(held_out, base.resolution)
    jobs = {
        "original": EmbedRows(config, original, work.batch_size),
        "heldout": EmbedRows(config, resized, work.batch_size),
        "floor": EmbedRows(config, resized, work.batch_size, base),
    }
    return HeldOutEmbeddings(
        held_out.ids, {part: embedded(part, job, len(held_out), work) for part, job in jobs.items()}
    )


@dataclass(frozen=True)
class Originals:
    """Reads images by their rows as they are."""

    images: Images

    def __call__(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        return [self.images.read(row) for row in rows]


@dataclass(frozen=True)
class EmbedRows(Job[Sequence[int], "NDArray[np.float32]"]):
    """Embeds images by their rows; the next batch is read while the model computes.

    base    whose autoencoder they pass through first
    """

    config: EmbeddingConfig
    read: Read
    batch_size: int
    base: BaseModel | None = None

    def prepare(self, device: str) -> Callable[[Sequence[int]], NDArray[np.float32]]:
        encoder = self.config.load(device)
        rebuild = reconstructor(self.base, device) if self.base else None

        def ready(rows: Sequence[int]) -> Any:
            images = list(self.read(rows))
            return encoder.prepare(images if rebuild is None else list(rebuild(np.stack(images))))

        def compute(rows: Sequence[int]) -> NDArray[np.float32]:
            batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
            with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
                return np.concatenate([encoder.forward(one) for one in ahead(pool, ready, batches, 2)])

        return compute


def embedded(name: str, job: EmbedRows, n: int, work: Work) -> NDArray[np.float32]:
    """float32 (n, d): vectors of n images, in resumable shards.

    DataError   some are not finite
    """
    vectors = work.in_shards(name, range(n), job)
    if not np.isfinite(vectors).all():
        raise DataError(
            "the embedder gave values that are not finite",
            hint="try it with dtype: float32, or another embedder",
            field="embedding.model",
        )
    return vectors
