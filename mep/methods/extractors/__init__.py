"""Extractors: images -> the features in which real and generated sets are compared. One file, one extractor."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from mep.config import digest
from mep.imaging.encoders import exact_arithmetic
from mep.machine.files import sha256_of
from mep.machine.hub import ModelReference
from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mep.artifacts.score_row import JsonObject

__all__ = [
    "Extractor",
    "Features",
    "Network",
    "PretrainedExtractor",
    "clean_resize",
    "clean_resizer",
    "exact_arithmetic",
]

Features: TypeAlias = "Callable[[NDArray[np.uint8]], NDArray[np.float32]]"
"""uint8 RGB (b, h, w, 3) -> float32 (b, d); the same row whatever else is in the batch, within 1e-4 relative."""


@dataclass(frozen=True)
class Network:
    """Features in two steps, so that one batch can be prepared while the one before goes through the network.

    prepare     uint8 RGB (b, h, w, 3) -> what the network takes; runs on a thread, on the CPU
    forward     that -> float32 (b, d)
    """

    prepare: Callable[[NDArray[np.uint8]], Any]
    forward: Callable[[Any], NDArray[np.float32]]

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.forward(self.prepare(batch))


class Extractor(Method):
    """A fixed map from pixels to features; not the embedder that the clusters came from."""

    noun: ClassVar[str] = "extractor"

    @property
    def name(self) -> str:
        """What tables call it; unique in a recipe."""
        return self.kind

    def load(self, device: str) -> Features:
        """The function itself, its weights on the device."""
        raise NotImplementedError

    def digest(self) -> str:
        """sha256 over the weights or, for a network drawn from a seed, over what determines them."""
        raise NotImplementedError

    def protocol(self) -> JsonObject:
        """What its numbers depend on beside the weights: layer, preprocessing, resize."""
        raise NotImplementedError

    def metric_name(self, metric: str, n: int, settings: JsonObject) -> str:
        """What a metric is called where papers have a name for it in these features, at n images and these settings."""
        return metric


class PretrainedExtractor(ModelReference, Extractor):
    """An extractor that is a pretrained model, by hub id and revision or from a folder."""

    @property
    def name(self) -> str:
        """The last part of the id or of the path."""
        place = str(self.id) if self.path is None else self.path.name
        return re.sub(r"[^A-Za-z0-9._-]+", "-", place.split("/")[-1]) or "model"

    def digest(self) -> str:
        return digest({"model": self.externals(sha256_of)["model"], **self.dump()})


def clean_resizer(side_px: int) -> Callable[[NDArray[np.uint8]], Tensor]:
    """uint8 RGB (b, h, w, 3) -> float32 (b, 3, side, side), 0 to 255, resized by clean-fid's own function on all cores.

    Source      Parmar et al. 2022, arXiv:2104.11222: Pillow's bicubic with anti-aliasing, in floating point
    """
    import torch
    from cleanfid.resize import make_resizer

    resize = make_resizer("PIL", False, "bicubic", (side_px, side_px))
    from concurrent.futures import ThreadPoolExecutor

    threads = ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 4)

    def prepare(batch: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(np.stack(list(threads.map(resize, batch)))).permute(0, 3, 1, 2)

    return prepare


def clean_resize(side_px: int) -> str:
    """What `clean_resizer` does, in the words of a protocol."""
    return f"pillow bicubic, anti-aliased, float, clipped @{side_px}"
