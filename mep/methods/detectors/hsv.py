"""Hard thresholds on nine pixel features, made for H&E histology."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.artifacts import Images
from mep.artifacts.reading import Reader
from mep.machine.jobs import Job
from mep.machine.shards import CPU_SHARD, Shards
from mep.machine.work import Work
from mep.methods.detectors import Detector, Verdict, judge

BRIGHT = 150  # luma above which a pixel belongs to a bright region, whose outlines are counted
NAMES = ("mean_v", "median_v", "std_v", "mean_s", "median_s", "std_s", "std_h", "var_l", "n_contour")
VALUES = np.arange(256)


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
    min_n_contour: int = Field(10, ge=0, le=1_000_000)
    """Outlines of bright regions (luma above 150), holes counted too; fewer mean an empty tile."""

    def inspect(self, images: Images, vectors: NDArray[np.float32], train: NDArray[np.bool_], work: Work) -> Verdict:
        lower_limits = {name: getattr(self, f"min_{name}") for name in NAMES if hasattr(self, f"min_{name}")}
        return judge(measure_features(images, work), lower_limits, {})


def measure_features(images: Images, work: Work) -> dict[str, NDArray[np.float64]]:
    """The nine features of n images, float64 (n,) each."""
    rows = Shards(work, "features", images.ids, CPU_SHARD).map_cpu(MeasureFeatures(images.reader))
    return dict(zip(NAMES, rows.T, strict=True))


@dataclass(frozen=True)
class MeasureFeatures(Job[Sequence[str], NDArray[np.float64]]):
    """The features of images, asked for by id: float64 (n, 9)."""

    read: Reader

    def prepare(self, device: str) -> Callable[[Sequence[str]], NDArray[np.float64]]:
        return lambda ids: np.array([tuple(hsv_features(self.read(image_id)).values()) for image_id in ids])


def hsv_features(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """The nine features of an RGB image (h, w, 3): statistics of V, S and H, focus, and number of outlines."""
    from PIL import Image

    image = Image.fromarray(pixels)
    histogram = np.array(image.convert("HSV").histogram()).reshape(3, 256)
    h, s, v = (_moments(counts) for counts in histogram)
    luma = np.asarray(image.convert("L"))
    return dict(zip(NAMES, (*v, *s, h[2], _variance_of_laplacian(luma), _n_outlines(luma > BRIGHT)), strict=True))


def _moments(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean, median and standard deviation of 8-bit values, exactly, from how often each occurs."""
    cumulative = counts.cumsum()
    n, total = int(cumulative[-1]), int(counts @ VALUES)
    median = (cumulative.searchsorted((n - 1) // 2 + 1) + cumulative.searchsorted(n // 2 + 1)) / 2
    variance = int(counts @ VALUES**2) / n - (total / n) ** 2
    return total / n, float(median), math.sqrt(max(variance, 0.0))


def _variance_of_laplacian(luma: NDArray[np.uint8]) -> float:
    """Variance of the sum of four neighbours minus four times the pixel; the border is mirrored about its pixels."""
    height, width = luma.shape
    padded = np.empty((height + 2, width + 2), dtype=np.int16)
    padded[1:-1, 1:-1] = luma
    padded[[0, -1], 1:-1] = luma[[min(1, height - 1), max(height - 2, 0)]]
    padded[1:-1, [0, -1]] = luma[:, [min(1, width - 1), max(width - 2, 0)]]
    response = padded[:-2, 1:-1] + padded[2:, 1:-1]
    response += padded[1:-1, :-2]
    response += padded[1:-1, 2:]
    response -= padded[1:-1, 1:-1] << 2
    flat = response.ravel().astype(np.float64)  # sums of whole numbers below 2**53 are exact
    return float(flat @ flat) / flat.size - (float(flat.sum()) / flat.size) ** 2


def _n_outlines(bright: NDArray[np.bool_]) -> int:
    """Outer outlines (8-connected regions) plus holes, by Euler's formula from sums over 2 x 2 windows (Gray 1971)."""
    from scipy import ndimage

    regions = ndimage.label(bright, structure=np.ones((3, 3)))[1]
    padded = np.zeros((bright.shape[0] + 2, bright.shape[1] + 2), dtype=np.uint8)
    padded[1:-1, 1:-1] = bright
    rows = padded[:-1] + (padded[1:] << 2)  # two pixels above each other
    n = np.bincount((rows[:, :-1] + (rows[:, 1:] << 1)).ravel(), minlength=16)
    euler = (n[[1, 2, 4, 8]].sum() - n[[7, 11, 13, 14]].sum() - 2 * (n[6] + n[9])) // 4
    return int(2 * regions - euler)
