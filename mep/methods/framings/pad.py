"""The whole image, filled up to a square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mep.methods.framings import Fill, Framing, Pixels, cut


class Pad(Framing):
    """The whole image in the centre of a square: nothing is lost, and generated images have the same bars."""

    kind: Literal["pad"]
    fill: Fill = "black"
    """What the bars show: black, as around a radiograph; white, as around tissue; the mean colour of the image's
    border; or its outermost pixels again (edge)."""

    def frame(self, pixels: Pixels, record: Mapping[str, object]) -> Pixels:
        height, width = pixels.shape[:2]
        side = max(height, width)
        return cut(pixels, -((side - width) // 2), -((side - height) // 2), side, self.fill)

    def side(self, width: int, height: int, record: Mapping[str, object]) -> int:
        return max(width, height)
