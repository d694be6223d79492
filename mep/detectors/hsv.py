"""Hard thresholds on nine pixel features, made for H&E histology."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.detectors import Detector, Read, Verdict

BRIGHT = 150
"""Luma above which a pixel belongs to a bright region, whose outlines are counted."""


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

    def inspect(self, n: int, read: Read, vectors: NDArray[np.float32], mapper: Callable[..., Any]) -> Verdict:
        rows = list(mapper(lambda row: hsv_features(read(row)), range(n)))
        features = {name: [row[name] for row in rows] for name in rows[0]}
        rules = {
            name.removeprefix("min_"): getattr(self, name)
            for name in type(self).model_fields
            if name.startswith("min_")
        }
        reasons = [
            ", ".join(f"{name} {row[name]:.4g} < {floor:g}" for name, floor in rules.items() if row[name] < floor)
            for row in rows
        ]
        return Verdict(np.array([not reason for reason in reasons]), reasons, features)


def hsv_features(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """The nine features of an RGB image (h, w, 3): statistics of V, S and H, focus, and number of outlines."""
    from PIL import Image
    from scipy import ndimage

    image = Image.fromarray(pixels)
    h, s, v = (channel.astype(np.float64) for channel in np.moveaxis(np.asarray(image.convert("HSV")), 2, 0))
    luma = np.asarray(image.convert("L"))
    return {
        "mean_v": float(v.mean()),
        "median_v": float(np.median(v)),
        "std_v": float(v.std()),
        "mean_s": float(s.mean()),
        "median_s": float(np.median(s)),
        "std_s": float(s.std()),
        "std_h": float(h.std()),
        "var_l": float(ndimage.laplace(luma.astype(np.float64), mode="mirror").var()),
        "n_contour": _n_outlines(luma > BRIGHT),
    }


def _n_outlines(bright: NDArray[np.bool_]) -> int:
    """Outer outlines (8-connected regions) plus holes (4-connected background not joined to the outside)."""
    from scipy import ndimage

    regions = ndimage.label(bright, structure=np.ones((3, 3)))[1]
    background = ndimage.label(np.pad(~bright, 1, constant_values=True))[1]
    return int(regions + background - 1)
