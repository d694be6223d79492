"""One whole-slide image: its scale, its tissue, and the regions that are read from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.errors import DataError
from mep.machine.extras import library
from mep.machine.files import refuse_special

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

THUMBNAIL_PX = 2048  # longest side of the picture on which tissue is looked for
PALEST = 8  # saturation of 255 below which nothing is tissue, as in CLAM (Lu et al. 2021)
FINEST_UM = 10.0  # um/px times magnification, by which one is told from the other where a slide names only one
UNITS_UM = {"um": 1.0, "µm": 1.0, "μm": 1.0, "&#181;m": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
"""Units of length in OME-XML, in micrometres; without one it is the micrometre."""


@dataclass(eq=False)
class Slide:
    """An open slide; both libraries have the same interface."""

    file: Any
    reader: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the largest level."""
        width, height = self.file.dimensions
        return int(width), int(height)

    @cached_property
    def um_per_px(self) -> float | None:
        """Of the largest level, from its scale or else its magnification; None where it says neither."""
        told = self.file.properties
        scale, power = (_positive(told.get(f"{self.reader}.{name}")) for name in ("mpp-x", "objective-power"))
        return scale or _um_in_ome(str(told.get("tiff.ImageDescription"))) or (FINEST_UM / power if power else None)

    def region(self, x: int, y: int, tile_px: int, scale: float) -> Image:
        """RGB tile with its corner at x, y of the largest level, each pixel as wide as `scale` pixels of that level."""
        from PIL import Image

        level, side = self._level(tile_px, scale)
        image: Image.Image = self.file.read_region((x, y), level, (side, side))
        if image.mode == "RGBA":
            image = _over_white(image)
        return image if side == tile_px else image.resize((tile_px, tile_px), Image.Resampling.BICUBIC)

    @lru_cache(maxsize=8)  # noqa: B019, a few slides are open at a time
    def _level(self, tile_px: int, scale: float) -> tuple[int, int]:
        """The level to read from, and the side of a tile there."""
        level = self.file.get_best_level_for_downsample(scale * 1.001)  # 4.0001 is a level of 4
        return int(level), max(1, round(tile_px * scale / self.file.level_downsamples[level]))

    def tissue_in(self, x: NDArray[np.int64], y: NDArray[np.int64], side: float) -> NDArray[np.float64]:
        """float64 (n,) share of tissue in squares of the largest level."""
        sums, shrink = self._tissue
        left, top = (np.floor(one / shrink).astype(int) for one in (x, y))
        right, bottom = (np.ceil((one + side) / shrink).astype(int) for one in (x, y))
        right, bottom = np.minimum(right, sums.shape[1] - 1), np.minimum(bottom, sums.shape[0] - 1)
        inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return np.asarray(inside / np.maximum((right - left) * (bottom - top), 1), dtype=np.float64)

    @cached_property
    def _tissue(self) -> tuple[NDArray[np.int64], float]:
        """int64 (h + 1, w + 1) pixels of tissue above and left of each corner of a small picture, and its scale."""
        from PIL import Image
        from skimage.filters import threshold_otsu

        width, height = self.size
        shrink = max(1.0, max(width, height) / THUMBNAIL_PX)
        part = 256
        small = Image.new("RGB", (int(np.ceil(width / shrink)), int(np.ceil(height / shrink))), "white")
        for top in range(0, small.height, part):
            for left in range(0, small.width, part):
                corner = round(left * shrink), round(top * shrink)
                small.paste(self.region(*corner, part, shrink), (left, top))
        saturation = np.asarray(small.convert("HSV"))[..., 1]
        is_tissue = saturation > max(float(threshold_otsu(saturation)), PALEST)
        return np.pad(is_tissue.cumsum(0).cumsum(1), ((1, 0), (1, 0))), shrink


def _um_in_ome(description: str) -> float | None:
    """Micrometres a pixel by the metadata of an OME-TIFF; None where it says none, or in no unit of length."""
    size, unit = (re.search(f'PhysicalSizeX{name}="([^"]+)"', description) for name in ("", "Unit"))
    um = UNITS_UM.get(unit[1] if unit else "um", 0.0)
    return (_positive(size[1]) or 0.0) * um or None if size else None


def _positive(value: object) -> float | None:
    """A number above 0; None for what is missing, or nonsense."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


@lru_cache(maxsize=4)
def opened(path: Path, reader: str, process: int) -> Slide:
    """An open slide, a few of them in each process: a handle must not be shared with a fork. DataError: no slide."""
    refuse_special(path)
    package = slide_library(reader)
    try:
        slide = Slide(package.open_slide(str(path)), reader)
        slide.region(0, 0, 16, 1.0)  # tiffslide looks into a file no earlier
        return slide
    except Exception as error:  # each library raises its own
        raise _refusal(path, reader, error) from error


def _refusal(path: Path, reader: str, error: Exception) -> DataError:
    if not path.stat().st_size:
        return DataError("the file is empty", hint="copy it again")
    if found := re.search(r"axes='S.+' not supported", str(error)):
        planes = f"its colours lie in planes of their own ({found[0]}): {reader} does not read these"
        return DataError(planes, hint="write it again with the colours of a pixel together")
    if isinstance(error, TypeError):
        return DataError(f"its pixels are not RGB of 8 bits ({error})", hint="write it again as RGB of 8 bits")
    return DataError(f"{reader} cannot open it: {error}", hint="copy it again, or try the other reader")


def slide_library(reader: str) -> Any:
    package = {"openslide": "openslide-python openslide-bin", "tiffslide": "tiffslide"}[reader]
    return library(reader, package, "slides")


def _over_white(image: Image) -> Image:
    """RGB; what lies outside of the scanned area is transparent."""
    from PIL import Image

    alpha = image.tobytes("raw", "A")
    if alpha == b"\xff" * len(alpha):  # in a quarter of the time that its extrema take
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
