"""Embedding: one vector for every training and validation image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Embeddings, Images
from mep.config import Config
from mep.embedders import Embedder
from mep.errors import DataError
from mep.registry import OneOf
from mep.stage import Work, stage


class EmbeddingConfig(Config):
    """What turns an image into a vector."""

    model: OneOf[Embedder]


@stage(version=2)
def embedding(config: EmbeddingConfig, images: Images, *, work: Work) -> Embeddings:
    """Turn every training and validation image into a vector."""
    seen = images.seen
    embed = config.model.load(work.device)

    def shard(rows: Sequence[int]) -> NDArray[np.float32]:
        batches = [rows[start : start + work.batch_size] for start in range(0, len(rows), work.batch_size)]
        decoded = work.map(lambda batch: [seen.read(row) for row in batch], batches)
        return np.concatenate([embed(batch) for batch in decoded])

    vectors = work.in_shards("vectors", range(len(seen)), shard)
    if not np.isfinite(vectors).all():
        raise DataError("the embedder gave values that are not finite", field="embedding.model")
    return Embeddings(seen.ids, vectors)
