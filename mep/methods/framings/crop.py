"""A square out of the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mep.methods.framings import Framing, Pixels, cut


class Crop(Framing):
    """The largest square of the image: what lies outside is not seen."""

    kind: Literal["crop"]
    keep: Literal["centre", "top", "bottom", "left", "right"] = "centre"
    """Which part is kept: of an upright image top or bottom, of a wide one left or right, else the centre."""

    @property
    def frames(self) -> bool:
        return self.keep != "centre"

    def frame(self, pixels: Pixels, record: Mapping[str, object]) -> Pixels:
        height, width = pixels.shape[:2]
        if self.keep == "centre" or height == width:
            return pixels  # resized first and cropped then, which keeps the halves of a pixel
        side = min(height, width)
        left = {"left": 0, "right": width - side}.get(self.keep, (width - side) // 2)
        top = {"top": 0, "bottom": height - side}.get(self.keep, (height - side) // 2)
        return cut(pixels, left, top, side, "black")

    def side(self, width: int, height: int, record: Mapping[str, object]) -> int:
        return min(width, height)
