"""References: features of the real images, shared by all arms."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from mep.artifacts import BaseModel, Images, References
from mep.config import Config
from mep.extractors import Extractor, Features
from mep.extractors.random_conv import RandomConv
from mep.pipelines import load_pipeline, to_pixels, to_tensor
from mep.pixels import square
from mep.registry import OneOf
from mep.stage import Work, stage

ReadBatch = Callable[[Sequence[int]], NDArray[np.uint8]]
"""Rows -> uint8 (b, size, size, 3)."""


class ReferencesConfig(Config):
    """The part of the section `metrics` that this stage reads."""

    extractors: tuple[OneOf[Extractor], ...] = Field((RandomConv(kind="random_conv"),), min_length=1)
    """Feature spaces in which real and generated images are compared; none may be the clustering's embedder."""
    eval_resolution: int | None = Field(None, ge=8, le=1024)
    """Side in pixels to which both sets are brought first. Default: the resolution of the base."""

    @field_validator("extractors")
    @classmethod
    def _distinct(cls, extractors: tuple[Extractor, ...]) -> tuple[Extractor, ...]:
        names = [extractor.name for extractor in extractors]
        if len(set(names)) < len(names):
            raise ValueError(f"two extractors have one name: {', '.join(sorted(names))}")
        return extractors


@stage(version=1, section="metrics", draws=True)
def references(config: ReferencesConfig, images: Images, base: BaseModel, *, work: Work) -> References:
    """Extract features of held-out and training images, and of the held-out ones after the autoencoder (the floor).

    Training images are subsampled, seeded, to the number of held-out ones, so that their distance to the held-out
    images is one between sets of equal size.
    """
    size = config.eval_resolution or base.resolution
    held_out, train = images.held_out, images.train
    rows = work.rng("train").permutation(len(train))[: len(held_out)]
    rebuild = reconstructor(base, work.device)

    def at_size(stack: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.stack([square(pixels, size) for pixels in stack])

    sets: dict[str, ReadBatch] = {
        "heldout": lambda batch: at_size([held_out.read(row) for row in batch]),
        "train": lambda batch: at_size([train.read(int(rows[row])) for row in batch]),
        "floor": lambda batch: at_size(rebuild(np.stack([held_out.read_square(r, base.resolution) for r in batch]))),
    }
    counts = {"heldout": len(held_out), "train": len(rows), "floor": len(held_out)}
    features: dict[str, dict[str, NDArray[np.float32]]] = {}
    protocol: dict[str, dict[str, Any]] = {}
    for extractor in config.extractors:
        extract = extractor.load(work.device)
        features[extractor.name] = {
            name: features_of(f"{extractor.name}-{name}", read, counts[name], extract, work)
            for name, read in sets.items()
        }
        d = features[extractor.name]["heldout"].shape[1]
        protocol[extractor.name] = {"digest": extractor.digest(), "d": d, "eval_resolution": size}
    return References(features, protocol)


def features_of(name: str, read: ReadBatch, n: int, extract: Features, work: Work) -> NDArray[np.float32]:
    """float32 (n, d): features of n squares, in resumable shards."""

    def shard(rows: Sequence[int]) -> NDArray[np.float32]:
        batches = [rows[start : start + work.batch_size] for start in range(0, len(rows), work.batch_size)]
        return np.concatenate([extract(stack) for stack in work.map(read, batches)])

    return work.in_shards(name, range(n), shard)


def reconstructor(base: BaseModel, device: str) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """A pass through the base's autoencoder, uint8 (b, h, w, 3): the best that a model on it could draw."""
    import torch

    vae = load_pipeline(base.pipeline, device).vae

    @torch.inference_mode()
    def rebuild(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return to_pixels(vae.decode(vae.encode(to_tensor(pixels, device)).latent_dist.mean).sample)

    return rebuild
