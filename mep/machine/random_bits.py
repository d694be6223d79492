"""Random bits that follow from a seed and a place alone, made where they are needed: the same on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

GAMMA, FIRST, SECOND = (n - 2**64 for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""SplitMix64's increment and multipliers, as the signed numbers that torch has."""
CHUNK = {"cpu": 2**15, "cuda": 2**23}
"""Words made at once: what stays in a cache, and what fills a GPU."""


def split_mix(words: Tensor) -> Tensor:
    """The words of SplitMix64 at some places of its sequence, int64 (n,); the argument is overwritten.

    words       int64 (n,), seed + place · GAMMA; the place counts from 1
    Source      Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195
    """
    words ^= (words >> 30) & (2**34 - 1)  # a shift of signed numbers copies the sign
    words *= FIRST
    words ^= (words >> 27) & (2**37 - 1)
    words *= SECOND
    words ^= (words >> 31) & (2**33 - 1)
    return words


def random_16_bits(n: int, *, seed: int, start: int = 0, device: torch.device | str = "cpu") -> Tensor:
    """int32 (n,) uniform in [0, 2^16), on the device, without a copy to it and without waiting for it.

    start       word of the sequence after which these begin: n numbers take ceil(n / 4) of them
    """
    import torch

    n_words = -(-n // 4)
    halves = torch.empty(4, n_words, dtype=torch.int32, device=device)
    seed = (seed + 2**63) % 2**64 - 2**63
    chunk = CHUNK["cpu" if halves.device.type == "cpu" else "cuda"]
    for first in range(0, n_words, chunk):
        last = min(first + chunk, n_words)
        words = split_mix(torch.arange(start + first + 1, start + last + 1, device=device).mul_(GAMMA).add_(seed))
        for number, half in enumerate(halves):
            half[first:last] = (words >> (16 * number)) & 0xFFFF
    return halves.ravel()[:n]
