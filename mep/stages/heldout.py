"""Held-out embedding: vectors of held-out images, in which generated ones are compared with what they can reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mep.artifacts import BaseModel, HeldOutEmbeddings, Images
from mep.encoders import Encoder
from mep.errors import DataError
from mep.stage import Work, stage
from mep.stages.embedding import EmbeddingConfig
from mep.stages.references import reconstructor

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = Callable[[Sequence[int]], Sequence["NDArray[np.uint8]"]]
"""Rows -> uint8 RGB images (h, w, 3) of any size."""


@stage(version=1, section="embedding")
def heldout(config: EmbeddingConfig, images: Images, base: BaseModel, *, work: Work) -> HeldOutEmbeddings:
    """Embed held-out images as they are, at the resolution of the model, and after a pass through its autoencoder."""
    embed, rebuild, held_out = config.load(work.device), reconstructor(base, work.device), images.held_out

    def resized(rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        return [held_out.read_square(row, base.resolution) for row in rows]

    reads: dict[str, Read] = {
        "original": lambda rows: [held_out.read(row) for row in rows],
        "heldout": resized,
        "floor": lambda rows: list(rebuild(np.stack(resized(rows)))),
    }
    n = len(held_out)
    return HeldOutEmbeddings(held_out.ids, {part: embedded(part, read, n, embed, work) for part, read in reads.items()})


def embedded(name: str, read: Read, n: int, embed: Encoder, work: Work) -> NDArray[np.float32]:
    """float32 (n, d): vectors of n images, in resumable shards.

    DataError   some are not finite
    """

    def shard(rows: Sequence[int]) -> NDArray[np.float32]:
        batches = [rows[start : start + work.batch_size] for start in range(0, len(rows), work.batch_size)]
        return np.concatenate([embed(images) for images in work.map(read, batches)])

    vectors = work.in_shards(name, range(n), shard)
    if not np.isfinite(vectors).all():
        raise DataError("the embedder gave values that are not finite", field="embedding.model")
    return vectors
