"""The edge view of an image, as Osorio et al. 2024 embed it: shapes without colour."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW, HIGH = 100, 200
"""Gradient magnitudes between which an edge must hang on a stronger one, and above which it stands alone."""
TANGENT = round(math.tan(math.pi / 8) * 2**15)
"""tan 22.5 degrees in the 15-bit fixed point in which directions are told apart."""


def edges(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (h, w, 3): grey split by Otsu's threshold (1979), and Canny's edges (1986) at apertures 3 and 7; 0 or 255.

    Luma is taken first; gradients are Sobel's, in the Euclidean norm, with thresholds 100 and 200.
    """
    from PIL import Image

    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    views = [grey > _otsu(grey), canny(grey, 3), canny(grey, 7)]
    return np.stack(views, 2).astype(np.uint8) * 255


def canny(grey: NDArray[np.uint8], aperture: int) -> NDArray[np.bool_]:
    """bool (h, w), True on edges; grey uint8 (h, w), aperture 3 or 7.

    Gradients of aperture 7 and their thresholds are divided by 16, as image libraries do to stay in 16 bits.
    """
    from scipy import ndimage

    large = ([1, 6, 15, 20, 15, 6, 1], [-1, -4, -5, 0, 5, 4, 1], 16)
    smooth, slope, scale = {3: ([1, 2, 1], [-1, 0, 1], 1), 7: large}[aperture]
    wide = grey.astype(np.float64)
    sloped = [ndimage.correlate1d(wide, slope, axis=axis, mode="nearest") for axis in (1, 0)]
    smoothed = [ndimage.correlate1d(values, smooth, axis=axis, mode="nearest") for axis, values in enumerate(sloped)]
    dx, dy = (np.rint(values / scale).astype(np.int64) for values in smoothed)
    strength = dx**2 + dy**2
    low, high = (int((limit / scale) ** 2) for limit in (LOW, HIGH))
    thin = _ridge(strength, dx, dy) & (strength > low)
    regions, n = ndimage.label(thin, np.ones((3, 3)))
    strong = np.zeros(n + 1, dtype=bool)
    strong[regions[thin & (strength > high)]] = True
    strong[0] = False
    return np.asarray(strong[regions])


def _ridge(strength: NDArray[np.int64], dx: NDArray[np.int64], dy: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where the strength is a maximum across the edge; directions count by the nearest of four."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(strength, 1), (3, 3))
    x, y = np.abs(dx), np.abs(dy) << 15
    flat = y < x * TANGENT
    steep = y > x * TANGENT + (x << 16)
    falling = (dx ^ dy) < 0
    across = (strength > windows[..., 1, 0]) & (strength >= windows[..., 1, 2])
    along = (strength > windows[..., 0, 1]) & (strength >= windows[..., 2, 1])
    down = (strength > windows[..., 0, 0]) & (strength > windows[..., 2, 2])
    up = (strength > windows[..., 0, 2]) & (strength > windows[..., 2, 0])
    return np.where(flat, across, np.where(steep, along, np.where(falling, up, down)))


def _otsu(grey: NDArray[np.uint8]) -> int:
    """The grey value above which white begins: least variance within the two sides."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    below, total = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return int(np.nanargmax(np.where(np.isfinite(between), between, -1)))
