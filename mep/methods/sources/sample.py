"""The builtin sample: real tissue that ships inside scikit-image."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.config import HashFile
from mep.errors import DataError
from mep.methods.sources import Record, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class Sample(Source):
    """Overlapping tiles of one slide of human colon, stained by immunohistochemistry (brown DAB, blue haematoxylin).

    The label `stain` says whether a tile's mean DAB optical density, after colour deconvolution (Ruifrok & Johnston
    2001), lies above the median of the training tiles; the column `density` holds that optical density. Training and
    held-out tiles share no pixel: a band in the middle of the slide, from top to bottom, is held out, and no tile
    crosses its edges. Image: skimage.data.immunohistochemistry(), public domain.
    """

    kind: Literal["sample"]
    tile_px: int = Field(64, ge=16, le=256)
    """Side of a tile."""
    stride_px: int = Field(8, ge=1, le=256)
    """Distance between neighbouring tiles; smaller than the tile means that they overlap."""
    heldout_fraction: float = Field(0.25, ge=0.1, le=0.8)
    """Share of the slide's width, in the middle, that is held out."""

    def records(self) -> list[Record]:
        size = _slide().shape[0]
        left = round(size * (1 - self.heldout_fraction) / 2)
        corners = {
            "train": self._corners(size, 0, left) + self._corners(size, size - left, size),
            "heldout": self._corners(size, left, size - left),
        }
        if not all(corners.values()):
            raise DataError(
                f"no {self.tile_px} px tile fits into the {left} px beside the held-out band, or into the band",
                hint="take smaller tiles",
                field="dataset.source",
            )
        density = {
            (y, x): float(_dab()[y : y + self.tile_px, x : x + self.tile_px].mean())
            for y, x in corners["train"] + corners["heldout"]
        }
        threshold = float(np.median([density[corner] for corner in corners["train"]]))
        stain = {corner: "stained" if dab > threshold else "unstained" for corner, dab in density.items()}
        records = [
            Record(f"{split}/y{y:03d}x{x:03d}", split, {"stain": stain[y, x], "density": density[y, x]})
            for split, places in corners.items()
            for y, x in places
        ]
        return sorted(records, key=lambda record: record.id)

    def open(self, image_id: str) -> Image:
        from PIL import Image

        y, x = int(image_id[-7:-4]), int(image_id[-3:])
        return Image.fromarray(_slide()[y : y + self.tile_px, x : x + self.tile_px])

    def file_of(self, image_id: str) -> Path:
        return _path()

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {"content": hash_file(_path())}

    def _corners(self, height: int, left: int, right: int) -> list[tuple[int, int]]:
        """(y, x) of every tile between two columns."""
        rows = range(0, height - self.tile_px + 1, self.stride_px)
        return [(y, x) for y in rows for x in range(left, right - self.tile_px + 1, self.stride_px)]


def _path() -> Path:
    import skimage.data

    return Path(skimage.data.__file__).parent / "ihc.png"


@cache
def _slide() -> NDArray[np.uint8]:
    """The pixels as `skimage.data.immunohistochemistry` gives them, without the import of all that can read images."""
    from PIL import Image

    with Image.open(_path()) as image:
        return np.array(image.convert("RGB"))


@cache
def _dab() -> NDArray[np.float64]:
    """Optical density of the DAB stain in every pixel."""
    from skimage.color import rgb2hed

    return np.asarray(rgb2hed(_slide())[..., 2])
