"""Hard thresholds on nine pixel features, made for H&E histology."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.machine.jobs import Job
from mep.machine.shards import CPU_SHARD, Shards
from mep.methods.detectors import Detector, Verdict, judge
from mep.methods.detectors._compiled_counts import compiled_counts
from mep.methods.detectors._pixel_counts import PixelCounts, counts_of

if TYPE_CHECKING:
    from mep.artifacts import Images
    from mep.artifacts.reading import Reader
    from mep.machine.work import Work

NAMES = ("mean_v", "median_v", "std_v", "mean_s", "median_s", "std_s", "std_h", "var_l", "n_contour")
VALUES = np.arange(256)
WORTH_COMPILING = 10**8  # pixels; compiling takes 1.4 s once and 0.5 s from then on, and saves 30 ns a pixel


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
    job = MeasureFeatures(images.reader, compiled=bool(images.sizes.prod(axis=1).sum() >= WORTH_COMPILING))
    rows = Shards(work, "features", images.ids, CPU_SHARD).map_cpu(job)
    return dict(zip(NAMES, rows.T, strict=True))


@dataclass(frozen=True)
class MeasureFeatures(Job[Sequence[str], NDArray[np.float64]]):
    """The features of images, asked for by id: float64 (n, 9).

    compiled    by a function that Numba compiles, where it is installed: the same numbers, sooner
    """

    read: Reader
    compiled: bool = False

    def prepare(self, device: str) -> Callable[[Sequence[str]], NDArray[np.float64]]:
        if self.compiled and (count := compiled_counts()):
            return lambda ids: features([count(self.read(image_id)) for image_id in ids])
        return lambda ids: features([counts_of(self.read.image(image_id)) for image_id in ids])


def features(images: Sequence[PixelCounts]) -> NDArray[np.float64]:
    """Statistics of V, S and H, focus, and number of outlines, of n images: float64 (n, 9), columns as NAMES."""
    means, medians, stds = _moments(np.array([image.hsv for image in images]).reshape(-1, 3, 256))
    columns = [statistic[:, channel] for channel in (2, 1) for statistic in (means, medians, stds)]
    others = [(image.squares / image.n - (image.total / image.n) ** 2, image.outlines) for image in images]
    return np.column_stack([*columns, stds[:, 0], others])


def _moments(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, median and standard deviation of 8-bit values, exactly, from how often each occurs: (..., 256) to (...)."""
    cumulative = counts.cumsum(-1)
    n = cumulative[..., -1:]
    median = ((cumulative <= (n - 1) // 2).sum(-1) + (cumulative <= n // 2).sum(-1)) / 2
    mean = counts @ VALUES / n[..., 0]
    squared = np.reshape([one**2 for one in mean.ravel().tolist()], mean.shape)  # NumPy rounds 1 in 1,000 otherwise
    return mean, median, np.sqrt((counts @ VALUES**2 / n[..., 0] - squared).clip(0))
