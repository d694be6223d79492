"""Embedding: one vector for every training and validation image."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Embeddings, Images
from mep.errors import DataError
from mep.imaging.edges import edges
from mep.imaging.encoders import Encoder, Prepared, Preprocessing
from mep.machine.jobs import Job, map_ahead
from mep.machine.shards import Shards
from mep.machine.work import Work
from mep.sections.embedding import EmbeddingConfig
from mep.stage import stage

ItemT = TypeVar("ItemT")
SHARD = 1024  # images of a shard: what a kill loses at most
N_TESTED = 16  # images of the self-test
CONTRAST = (0.05, 20.0)
"""What a preprocessing may do to the contrast of images: scaling by 1/255 twice, or not at all, is far outside."""
SPREAD = 1e-5  # embeddings that differ by less than this share of their length do not depend on the image


@stage(version=3)
def embedding(config: EmbeddingConfig, images: Images, *, work: Work) -> Embeddings:
    """Turn every training and validation image into a vector."""
    seen = images.seen
    if (known := config.model.known(seen.ids)) is not None:
        return Embeddings(seen.ids, known)
    places = np.unique(np.linspace(0, len(seen) - 1, N_TESTED).astype(int))
    about = self_test(config.load(work.device), [seen.read(int(row)) for row in places], config.view)
    job = Embed(config, partial(map, images.reader), work.machine.batch_size)
    return Embeddings(seen.ids, embedded("vectors", job, seen.ids, work), about)


def embedded(name: str, job: "Embed[ItemT]", items: Sequence[ItemT], work: Work) -> NDArray[np.float32]:
    """float32 (n, d): vectors of the images that items stand for, in resumable shards; DataError: not finite."""
    vectors = Shards(work, name, items, SHARD).map_unordered(job)
    if not np.isfinite(vectors).all():
        raise DataError(
            "the embedder gave values that are not finite",
            hint="try it with dtype: float32, or another embedder",
            field="embedding.model",
        )
    return vectors


@dataclass(frozen=True)
class Embed(Job[Sequence[ItemT], NDArray[np.float32]], Generic[ItemT]):
    """Embeds the images that items stand for; threads read and prepare the next batches while the model computes.

    read    items -> uint8 RGB images (h, w, 3) of any size; it can be pickled
    change  device -> what a model there makes of a batch of squares, uint8 (b, h, w, 3), before they are embedded
    """

    config: EmbeddingConfig
    read: Callable[[Sequence[ItemT]], Iterable[NDArray[np.uint8]]]
    batch_size: int
    change: Callable[[str], Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] | None = None
    whole_gpu: bool = False

    def prepare(self, device: str) -> Callable[[Sequence[ItemT]], NDArray[np.float32]]:
        encoder = self.config.load(device)
        change = self.change(device) if self.change else None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
        threads = 1 if change else max(2, min(16, cores))

        def ready(items: Sequence[ItemT]) -> Prepared:
            images = list(self.read(items))
            return encoder.prepare(list(change(np.stack(images))) if change else images)

        def compute(items: Sequence[ItemT]) -> NDArray[np.float32]:
            batches = [items[start : start + self.batch_size] for start in range(0, len(items), self.batch_size)]
            with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
                prepared = map_ahead(pool, ready, batches, max(2, threads))
                return np.concatenate([encoder.forward(batch) for batch in prepared])

        return compute


def self_test(encoder: Encoder, images: Sequence[NDArray[np.uint8]], view: str = "rgb") -> Preprocessing:
    """What the preprocessing does to a sample of images, and how far their vectors differ; kept with the vectors.

    DataError   the contrast is lost or not scaled, or the vectors hardly depend on the image
    """
    prepared = encoder.prepare(images)
    about = Preprocessing(**encoder.about, view=view)
    mean, std = about.get("mean"), about.get("std")
    if mean is not None and std is not None:
        shown = [edges(pixels) for pixels in images] if view == "canny" else images
        expected = float(np.mean([pixels.std() / 255 for pixels in shown]) / np.mean(std))
        values = np.asarray(prepared.float() if hasattr(prepared, "float") else prepared, dtype=np.float64)
        seen = float(values.std(axis=tuple(range(1, values.ndim))).mean())
        about |= {"seen_mean": float(values.mean()), "seen_std": seen, "expected_std": expected}
        if expected > 0.02 and not CONTRAST[0] < seen / expected < CONTRAST[1]:
            raise DataError(
                f"after preprocessing the images have {seen / expected:.2g} times the contrast that the model expects:"
                " they are scaled twice, or not at all",
                hint="check do_rescale, rescale_factor, mean and std in the model's preprocessing configuration",
                field="embedding.model",
            )
    vectors = encoder.forward(prepared)
    length = float(np.linalg.norm(vectors, axis=1).mean())
    spread = float(np.linalg.norm(vectors - vectors.mean(0), axis=1).mean()) / max(length, 1e-12)
    if spread < SPREAD and len({pixels.tobytes() for pixels in images}) > 1:
        raise DataError(
            f"the embeddings of {len(images)} images are nearly equal (spread {spread:.1e} of their length)",
            hint="the model does not see the images: check its weights and its preprocessing",
            field="embedding.model",
        )
    return {**about, "spread": spread}
