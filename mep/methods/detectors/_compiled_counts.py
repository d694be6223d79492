"""`PixelCounts` in one pass, by functions that Numba compiles: the same numbers in a fifth of the time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.methods.detectors._pixel_counts import BRIGHT, PixelCounts

Bytes: TypeAlias = NDArray[np.uint8]


@cache
def compiled_counts() -> Callable[[Bytes], PixelCounts] | None:
    """`counts_of` for pixels (h, w, 3); None where Numba is not installed, or not for this NumPy."""
    try:
        import numba
    except ImportError:
        return None

    def compile_(function: Callable[..., int]) -> Callable[..., int]:
        try:
            compiled: Callable[..., int] = numba.njit(function, nogil=True, cache=True)
        except RuntimeError:  # it finds no folder in which it could keep what it compiles
            compiled = numba.njit(function, nogil=True)
        return compiled

    count_colours, sum_up, trace_outlines = compile_(_count_colours), compile_(_sum_up), compile_(_trace_outlines)
    saturation, hue = _tables()

    def counts(pixels: Bytes) -> PixelCounts:
        height, width = pixels.shape[:2]
        hsv, luma = np.zeros((3, 256), np.int64), np.empty((height, width), np.uint8)
        count_colours(pixels, saturation, hue, hsv, luma)
        sums = np.zeros(2, np.int64)
        sum_up(luma, sums)
        parents = np.zeros((height // 2 + 1) * (width // 2 + 1) + 1, np.int32)  # no two regions begin side by side
        outlines = trace_outlines(luma, BRIGHT, np.zeros((2, width + 2), np.int32), parents)
        return PixelCounts(luma.size, hsv.ravel(), int(sums[0]), int(sums[1]), outlines)

    return counts


def _tables() -> tuple[Bytes, Bytes]:
    """Pillow's saturation by largest and smallest channel: (256, 256). And its hue, which depends on differences alone,
    by which channel is smallest and how much larger the other two are: (3, 256, 256)."""
    from PIL import Image

    rows, columns = np.indices((256, 256), dtype=np.uint8)
    black = np.zeros_like(rows)
    pictures = [(rows, columns, columns), (black, rows, columns), (rows, black, columns), (rows, columns, black)]
    greys, *smallest = [np.asarray(Image.fromarray(np.dstack(planes)).convert("HSV")) for planes in pictures]
    return greys[..., 1].copy(), np.stack([hsv[..., 0] for hsv in smallest])


def _count_colours(pixels: Bytes, saturation: Bytes, hue: Bytes, hsv: NDArray[np.int64], luma: Bytes) -> int:
    """Fills `hsv` (3, 256) and `luma` (h, w)."""
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            r, g, b = pixels[y, x, 0], pixels[y, x, 1], pixels[y, x, 2]
            low, high = min(r, g, b), max(r, g, b)
            if r == low:
                tone = hue[0, g - low, b - low]
            elif g == low:
                tone = hue[1, r - low, b - low]
            else:
                tone = hue[2, r - low, g - low]
            hsv[0, tone] += 1
            hsv[1, saturation[high, low]] += 1
            hsv[2, high] += 1
            luma[y, x] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16  # ITU-R BT.601, rounded as Pillow does
    return 0


def _sum_up(luma: Bytes, sums: NDArray[np.int64]) -> int:
    """Fills `sums` with that of the Laplacian and that of its squares."""
    height, width = luma.shape
    for y in range(height):
        above, below = y - 1 if y else min(1, height - 1), y + 1 if y + 1 < height else max(height - 2, 0)
        for x in range(width):
            left, right = x - 1 if x else min(1, width - 1), x + 1 if x + 1 < width else max(width - 2, 0)
            response = luma[above, x] + luma[below, x] + luma[y, left] + luma[y, right] - 4 * luma[y, x]
            sums[0] += response
            sums[1] += response * response
    return 0


def _trace_outlines(luma: Bytes, limit: int, names: NDArray[np.int32], parents: NDArray[np.int32]) -> int:
    """Regions by union-find and Euler's characteristic, pixel by pixel; outlines are twice the regions minus that.

    names       int32 (2, w + 2) zeros      regions of this row and of the one above, 0 is dark
    parents     int32 zeros                 of every region
    """
    height, width = luma.shape
    regions = euler = named = 0
    for y in range(height):
        row, above = names[y % 2], names[1 - y % 2]
        for x in range(1, width + 1):
            if luma[y, x - 1] <= limit:
                row[x] = 0
                continue
            left, up_left, up, up_right = row[x - 1], above[x - 1], above[x], above[x + 1]
            touched = up or left or up_left or up_right
            if not touched:
                named += 1
                parents[named] = touched = named
                regions += 1
            elif up_right and not up:  # all other neighbours touch each other
                one, other = touched, up_right
                while parents[one] != one:
                    one = parents[one]
                while parents[other] != other:
                    other = parents[other]
                regions -= one != other
                parents[max(one, other)] = min(one, other)
            row[x] = touched
            # corners and edges that this pixel adds to those of its neighbours, and itself
            corners = 1 + (not left) + (not (up or up_right)) + (not (up or left or up_left))
            euler += corners - (2 + (not up) + (not left)) + 1
    return 2 * regions - euler
