"""References: features of the real images, shared by all arms."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, field_validator

from mep.artifacts import BaseModel, Images, References
from mep.config import Config
from mep.errors import DataError
from mep.evaluation import drawn
from mep.extractors import Extractor, Features, Network
from mep.extractors.random_conv import RandomConv
from mep.pipelines import load_pipeline, to_pixels, to_tensor
from mep.pixels import square
from mep.registry import OneOf
from mep.stage import Work, stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

ReadBatch = Callable[[Sequence[int]], "NDArray[np.uint8]"]
"""Rows -> uint8 (b, size, size, 3)."""

SQUARE = "shorter side pillow bicubic, anti-aliased, centre cropped"
"""How images reach the evaluation's resolution."""


class ReferencesConfig(Config):
    """The part of the section `metrics` that this stage reads."""

    extractors: tuple[OneOf[Extractor], ...] = Field((RandomConv(kind="random_conv"),), min_length=1)
    """Feature spaces in which real and generated images are compared; none may be the clustering's embedder."""
    eval_resolution: int | None = Field(None, ge=8, le=1024)
    """Side in pixels to which both sets are brought first. Default: the resolution of the base."""
    train_images: int | None = Field(None, ge=3)
    """Training images to look at, drawn by `seed`; copies of others go unnoticed. Default: all."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Which images are drawn where sets are brought to equal size, and how halves are cut: the same in all arms."""

    @field_validator("extractors")
    @classmethod
    def _distinct(cls, extractors: tuple[Extractor, ...]) -> tuple[Extractor, ...]:
        names = [extractor.name for extractor in extractors]
        if len(set(names)) < len(names):
            raise ValueError(f"two extractors have one name: {', '.join(sorted(names))}")
        return extractors


@stage(version=2, section="metrics")
def references(config: ReferencesConfig, images: Images, base: BaseModel, *, work: Work) -> References:
    """Extract features of held-out and training images, and of the held-out ones after the autoencoder (the floor)."""
    size = config.eval_resolution or base.resolution
    held_out, train = images.held_out, images.train
    if config.train_images is not None:
        train = train.take(np.sort(drawn(len(train), config.train_images, config.seed, 5)))
    rebuild = reconstructor(base, work.device)

    def at_size(stack: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.stack([square(pixels, size) for pixels in stack])

    sets: dict[str, tuple[int, ReadBatch]] = {
        "heldout": (len(held_out), lambda batch: at_size([held_out.read(row) for row in batch])),
        "train": (len(train), lambda batch: at_size([train.read(row) for row in batch])),
        "floor": (
            len(held_out),
            lambda batch: at_size(rebuild(np.stack([held_out.read_square(r, base.resolution) for r in batch]))),
        ),
    }
    features: dict[str, dict[str, NDArray[np.float32]]] = {}
    protocol: dict[str, dict[str, Any]] = {}
    for extractor in config.extractors:
        extract = extractor.load(work.device)
        features[extractor.name] = {
            name: features_of(f"{extractor.name}-{name}", read, n, extract, work) for name, (n, read) in sets.items()
        }
        d = features[extractor.name]["heldout"].shape[1]
        protocol[extractor.name] = protocol_of(extractor, d, size)
    tables = {"heldout": _table(held_out), "train": _table(train)}
    return References(features, protocol, tables)


def protocol_of(extractor: Extractor, d: int, size: int | None) -> dict[str, Any]:
    """The part of a row's protocol that the extractor and the resolution make; no size: images as they are."""
    own = extractor.protocol()
    first = "as they are" if size is None else f"{SQUARE} @{size}"
    return own | {
        "extractor": extractor.name,
        "digest": extractor.digest(),
        "d": d,
        "eval_resolution": size,
        "resize": f"{first}; {own['resize']}",
    }


def file_formats(names: Iterable[str]) -> str:
    """png, jpeg, png+jpeg: what the names of the images say of their files; empty where they say nothing."""
    known = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".webp": "webp"}
    endings = {PurePosixPath(name).suffix.lower() for name in names}
    return "+".join(sorted({known.get(ending, ending[1:]) for ending in endings if ending and len(ending) < 6}))


def _table(images: Images) -> dict[str, list[Any]]:
    groups = [None] * len(images) if images.group is None else images.groups.tolist()
    return {"id": images.ids, "label": [images.label_of(row) for row in range(len(images))], "group": groups}


def features_of(name: str, read: ReadBatch, n: int, extract: Features, work: Work) -> NDArray[np.float32]:
    """float32 (n, d): features of n squares, in resumable shards.

    DataError   some are not finite
    """

    def shard(rows: Sequence[int]) -> NDArray[np.float32]:
        batches = [rows[start : start + work.batch_size] for start in range(0, len(rows), work.batch_size)]
        stacks = work.map(read, batches)
        if not isinstance(extract, Network):
            return np.concatenate([extract(stack) for stack in stacks])
        return np.concatenate([extract.forward(ready) for ready in ahead(extract.prepare, stacks)])

    found = work.in_shards(name, range(n), shard)
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        raise DataError(
            f"the extractor gave {len(broken)} of {n} images features that are not finite ({name})",
            hint="look at these images, or try another extractor",
            field="metrics.extractors",
        )
    return found


def ahead(prepare: Callable[[Any], Any], items: Iterable[Any], depth: int = 2) -> Iterator[Any]:
    """prepare(item) for every item in order, computed on a thread while the one before is used."""
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as thread:
        for item in items:
            waiting.append(thread.submit(prepare, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        for one in waiting:
            yield one.result()


def reconstructor(base: BaseModel, device: str) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """A pass through the base's autoencoder, uint8 (b, h, w, 3): the best that a model on it could draw."""
    import torch

    vae = load_pipeline(base.pipeline, device).vae

    @torch.inference_mode()
    def rebuild(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return to_pixels(vae.decode(vae.encode(to_tensor(pixels, device)).latent_dist.mean).sample)

    return rebuild
