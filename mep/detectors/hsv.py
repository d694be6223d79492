"""Hard thresholds on nine pixel features, made for H&E histology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.detectors import Detector, Read, Verdict, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mep.stage import Work

BRIGHT = 150
"""Luma above which a pixel belongs to a bright region, whose outlines are counted."""
NAMES = ("mean_v", "median_v", "std_v", "mean_s", "median_s", "std_s", "std_h", "var_l", "n_contour")
CHUNK = 32


class Hsv(Detector):
    """Removes dark, grey, flat, blurred and empty tiles; features and thresholds of Osorio et al. 2024.

    Values are on Pillow's 0-255 scale of hue, saturation and value.
    """

    kind: Literal["hsv"]
    min_mean_v: float = Field(70, ge=0, le=255)
    """A tile whose mean value (brightness) lies below is too dark."""
    min_mean_s: float = Field(3, ge=0, le=255)
    """Mean saturation below: no stain."""
    min_std_v: float = Field(4, ge=0)
    """Standard deviation of the value below: flat."""
    min_std_s: float = Field(4, ge=0)
    """Standard deviation of the saturation below: flat."""
    min_std_h: float = Field(1.5, ge=0)
    """Standard deviation of the hue below: one colour only."""
    min_var_l: float = Field(100, ge=0)
    """Variance of the Laplacian of the luma below: out of focus."""
    min_n_contour: int = Field(10, ge=0)
    """Outlines of bright regions (luma above 150), holes counted too; fewer mean an empty tile."""

    def inspect(self, read: Read, vectors: NDArray[np.float32], train: NDArray[np.bool_], work: Work) -> Verdict:
        floors = {name: getattr(self, f"min_{name}") for name in NAMES if hasattr(self, f"min_{name}")}
        return verdict(measure(read, len(train), work), floors, {})


def measure(read: Read, n: int, work: Work) -> dict[str, NDArray[np.float64]]:
    """The nine features of n images, float64 (n,) each; resumable."""

    def chunk(rows: Sequence[int]) -> list[tuple[float, ...]]:
        return [tuple(hsv_features(read(row)).values()) for row in rows]

    def shard(rows: Sequence[int]) -> NDArray[np.float64]:
        parts = work.map(chunk, [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)])
        return np.array([row for part in parts for row in part])

    table = work.in_shards("features", range(n), shard, size=8192)
    return dict(zip(NAMES, table.T, strict=True))


def hsv_features(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """The nine features of an RGB image (h, w, 3): statistics of V, S and H, focus, and number of outlines."""
    from PIL import Image

    image = Image.fromarray(pixels)
    h, s, v = (_moments(channel.histogram()) for channel in image.convert("HSV").split())
    luma = np.asarray(image.convert("L"))
    found = (*v, *s, h[2], _variance_of_laplacian(luma), _n_outlines(luma > BRIGHT))
    return dict(zip(NAMES, found, strict=True))


def _moments(histogram: list[int]) -> tuple[float, float, float]:
    """Mean, median and standard deviation of 8-bit values, exactly, from how often each occurs."""
    counts = np.array(histogram)
    values = np.arange(256)
    n = int(counts.sum())
    total = int(counts @ values)
    reached = counts.cumsum()
    middle = np.searchsorted(reached, [(n - 1) // 2 + 1, n // 2 + 1])
    variance = int(counts @ values**2) / n - (total / n) ** 2
    return total / n, float(middle.mean()), float(np.sqrt(max(variance, 0.0)))


def _variance_of_laplacian(luma: NDArray[np.uint8]) -> float:
    """Variance of the sum of four neighbours minus four times the pixel; the border is mirrored about its pixels."""
    wide = np.pad(luma.astype(np.int16), 1, mode="reflect" if min(luma.shape) > 1 else "edge")
    centre = wide[1:-1, 1:-1]
    response = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * centre
    flat = response.ravel().astype(np.int64)
    return float(int(flat @ flat) / flat.size - (int(flat.sum()) / flat.size) ** 2)


def _n_outlines(bright: NDArray[np.bool_]) -> int:
    """Outer outlines (8-connected regions) plus holes (background inside a region).

    Holes follow from the regions by Euler's formula: regions - holes is a sum over 2 x 2 windows (Gray 1971).
    """
    from scipy import ndimage

    regions = ndimage.label(bright, structure=np.ones((3, 3)))[1]
    wide = np.pad(bright, 1).view(np.uint8)
    windows = wide[:-1, :-1] | wide[:-1, 1:] << 1 | wide[1:, :-1] << 2 | wide[1:, 1:] << 3
    n = np.bincount(windows.ravel(), minlength=16)
    euler = (n[[1, 2, 4, 8]].sum() - n[[7, 11, 13, 14]].sum() - 2 * (n[6] + n[9])) // 4
    return int(2 * regions - euler)
