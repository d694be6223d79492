"""How an image's latents lie on disk: exactly, or in a quarter of the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mep.imaging.pixels import symmetry

LOW, STEP = -15.0, 0.1
"""Logarithms of deviations that a byte holds: from the least that diffusers keeps, exp(-15), to exp(10.5). A deviation
is at most 5 % off."""
Posterior = NDArray[np.float32]
"""Mean and deviation (2, c, h, w), or of s views (s, 2, c, h, w)."""


@dataclass(frozen=True)
class Exact:
    """float32, mean and deviation of every view."""

    dtype = "float32"

    def pack(self, views: Posterior) -> NDArray[np.float32]:
        return views

    def unpack(self, row: NDArray[np.float32], place: int) -> Posterior:
        """The view at a place among those that were packed."""
        view: Posterior = row[place]
        return view


@dataclass(frozen=True)
class Compact:
    """Means in bfloat16; of the deviations one byte each of the first view alone, turned with the image.

    A bfloat16 keeps 8 bits of a number. Deviations say how sure the encoder is; those of a turned image were 14 % other
    on average, a sixth of the latents' own (tests/bench/bench_latents.py).

    shape   c, h, w
    turns   symmetries of the views; the first leaves the image as it is
    """

    shape: tuple[int, int, int]
    turns: Sequence[int]
    dtype = "bfloat16"

    def pack(self, views: Posterior) -> NDArray[np.uint8]:
        """uint8 (bytes,): those of the means, then those of the deviations."""
        import torch

        means = torch.from_numpy(np.ascontiguousarray(views[:, 0])).to(torch.bfloat16).view(torch.uint8).numpy()
        codes = np.round((np.log(views[0, 1].clip(1e-30)) - LOW) / STEP).clip(0, 255).astype(np.uint8)
        return np.concatenate([means.ravel(), codes.ravel()])

    def unpack(self, row: NDArray[np.uint8], place: int) -> Posterior:
        """The view at a place among those that were packed."""
        n = int(np.prod(self.shape))
        upper = np.frombuffer(row[2 * n * place : 2 * n * (place + 1)].tobytes(), dtype="<u2")
        mean = (upper.astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        codes = np.asarray(row[2 * n * len(self.turns) :]).reshape(self.shape).transpose(1, 2, 0)
        turned = symmetry(codes, self.turns[place]).transpose(2, 0, 1)
        return np.stack([mean, np.exp(LOW + STEP * turned.astype(np.float32))])
