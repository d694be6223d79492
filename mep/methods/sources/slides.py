"""Whole-slide images, cut into tiles on the way: no tile is ever written."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mep.config import HashFile, fold, folder_digest
from mep.errors import DataError
from mep.machine.extras import library
from mep.machine.files import refuse_special
from mep.methods.sources import Row
from mep.methods.sources._files import Files

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".bif", ".svslide", ".tif", ".tiff")
OME = (".ome.tif", ".ome.tiff")
THUMBNAIL_PX = 2048  # longest side of the picture on which tissue is looked for
PALEST = 8  # saturation of 255 below which nothing is tissue, as in CLAM (Lu et al. 2021)
FINEST_UM = 10.0  # um/px times magnification, by which one is told from the other where a slide names only one


class Slides(Files):
    """Tiles of the slides below a folder: SVS, NDPI, MRXS, pyramidal TIFF, OME-TIFF. Regions are read when they are
    asked for. Columns: `slide`, the path of the file, for `dataset.group`; `x` and `y`, the corner in pixels of the
    largest level. Needs the extra `slides`.
    """

    kind: Literal["slides"]
    um_per_px: float | None = Field(None, gt=0)
    """Micrometres a pixel of a tile: 0.5 is what is called 20x."""
    magnification: float | None = Field(None, gt=0)
    """In the place of `um_per_px`: 20, 10, 5."""
    tile_px: int = Field(256, ge=16, le=4096)
    """Side of a tile."""
    stride_px: int | None = Field(None, ge=1, le=1_000_000)
    """Distance between neighbouring tiles. Default: the side, so that they touch; smaller, and they overlap."""
    tissue: float = Field(0.5, ge=0, le=1)
    """Share of a tile that has to be tissue: more saturated than the threshold of Otsu (1979) on a small picture of the
    slide. 0 takes all tiles."""
    assumed_um_per_px: float | None = Field(None, gt=0)
    """Micrometres a pixel of the largest level, for slides that do not say."""
    reader: Literal["openslide", "tiffslide"] | None = None
    """Library that reads. Default: tiffslide for OME-TIFF, openslide for the others."""

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        if (self.um_per_px is None) == (self.magnification is None):
            raise ValueError("say either um_per_px or magnification")
        return self

    def require(self) -> None:
        if not self.path.is_dir() or any(not name.lower().endswith(OME) for name in self.names_below()):
            _library(self.reader or "openslide")

    def is_one(self, path: Path) -> bool:
        return path.suffix.lower() in SUFFIXES

    def contents(self, names: list[str]) -> Iterator[list[tuple[str, Row]]]:
        for name in names:
            slide = self._slide(self.root / name)
            if slide is None:  # does not open: the scan says why
                yield [("", {"slide": name, "x": None, "y": None})]
                continue
            corners = self._corners(slide, name).tolist()
            yield [(f"x{x:06d}y{y:06d}", {"slide": name, "x": x, "y": y}) for x, y in corners]

    def open(self, image_id: str) -> "Image":
        path, part = self.place_of(image_id)
        slide = _opened(path, self._reader_of(path), os.getpid())
        if not part:
            raise DataError("it changed after it was listed", hint="run the command again")
        return slide.region(int(part[1:7]), int(part[8:]), self.tile_px, self._scale(slide, path.name))

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        beside = [self.root / name.removesuffix(".mrxs") for name in self.names_below() if name.endswith(".mrxs")]
        data = fold([(folder.name, folder_digest(folder, hash_file)) for folder in beside if folder.is_dir()])
        return super().externals(hash_file) | ({"beside": data} if beside else {})

    def _reader_of(self, path: Path) -> str:
        return self.reader or ("tiffslide" if path.name.lower().endswith(OME) else "openslide")

    def _slide(self, path: Path) -> "_Slide | None":
        try:
            return _opened(path, self._reader_of(path), os.getpid())
        except DataError:
            return None

    def _scale(self, slide: "_Slide", name: str) -> float:
        """Pixels of the largest level that become a pixel of a tile. DataError: the slide does not say its scale."""
        um_per_px = self.assumed_um_per_px or slide.um_per_px
        if um_per_px is None:
            raise DataError(
                f"{name} says neither its micrometres a pixel nor its magnification",
                hint="assumed_um_per_px: says it for such slides; 0.25 is usual for 40x, 0.5 for 20x",
                field="dataset.source",
            )
        wanted = self.um_per_px or FINEST_UM / float(self.magnification or 1)
        if wanted < 0.9 * um_per_px:
            raise DataError(
                f"{name} has {um_per_px:.3g} um/px at its finest, {wanted:.3g} are wanted",
                hint="ask for no finer tiles than the slides have",
                field="dataset.source",
            )
        return wanted / um_per_px

    def _corners(self, slide: "_Slide", name: str) -> NDArray[np.int64]:
        """int64 (n, 2) x and y of the tiles that hold enough tissue, row by row, in pixels of the largest level."""
        scale = self._scale(slide, name)
        side, step = self.tile_px * scale, (self.stride_px or self.tile_px) * scale
        width, height = slide.size
        xs, ys = (np.arange(0, length - side + 1e-6, step).round().astype(np.int64) for length in (width, height))
        y, x = (one.ravel() for one in np.meshgrid(ys, xs, indexing="ij"))
        if self.tissue > 0 and len(x):
            kept = slide.tissue_in(x, y, side) >= self.tissue
            x, y = x[kept], y[kept]
        return np.stack([x, y], axis=1)


@dataclass(eq=False)
class _Slide:
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
        scale, power = (told.get(f"{self.reader}.{name}") for name in ("mpp-x", "objective-power"))
        in_ome = re.search(r'PhysicalSizeX="([\d.]+)"', str(told.get("tiff.ImageDescription")))
        if scale:
            return float(scale)
        if in_ome:
            return float(in_ome[1])
        return FINEST_UM / float(power) if power else None

    def region(self, x: int, y: int, tile_px: int, scale: float) -> "Image":
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


@lru_cache(maxsize=4)
def _opened(path: Path, reader: str, process: int) -> _Slide:
    """An open slide, a few of them in each process: a handle must not be shared with a fork. DataError: no slide."""
    refuse_special(path)
    package = _library(reader)
    try:
        slide = _Slide(package.open_slide(str(path)), reader)
        assert slide.size  # tiffslide looks into a file no earlier
        return slide
    except Exception as error:  # each library raises its own
        if not path.stat().st_size:
            raise DataError("the file is empty", hint="copy it again") from error
        if found := re.search(r"axes='S.+' not supported", str(error)):
            planes = f"its colours lie in planes of their own ({found[0]}): {reader} does not read these"
            raise DataError(planes, hint="write it again with the colours of a pixel together") from error
        raise DataError(f"{reader} cannot open it: {error}", hint="copy it again, or try the other reader") from error


def _library(reader: str) -> Any:
    package = {"openslide": "openslide-python openslide-bin", "tiffslide": "tiffslide"}[reader]
    return library(reader, package, "slides")


def _over_white(image: "Image") -> "Image":
    """RGB; what lies outside of the scanned area is transparent."""
    from PIL import Image

    alpha = image.tobytes("raw", "A")
    if alpha == b"\xff" * len(alpha):  # in a quarter of the time that its extrema take
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
