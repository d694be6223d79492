"""A square around a region of interest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mep.errors import DataError
from mep.machine.tables import text_of
from mep.methods.framings import Fill, Framing, Pixels, cut


class Region(Framing):
    """The square around a box that the metadata give for every image: a lesion, a lung, a nodule.

    It is as long as the longer side of the box and a margin, and lies inside of the image wherever it fits in.
    """

    kind: Literal["region"]
    box: tuple[str, ...] = Field(("x", "y", "width", "height"), min_length=4, max_length=4)
    """Columns of the metadata with the left and upper end of the box, its width and its height, in pixels of the image
    as it is seen upright."""
    margin: float = Field(0.1, ge=0, le=10)
    """Width of the margin on each side, as a share of the longer side of the box."""
    fill: Fill = "black"
    """What stands where the square is larger than the image."""
    without: Literal["refuse", "centre"] = "refuse"
    """What becomes of an image whose columns are empty: the run stops and names it, or its centre is taken, as where
    there is nothing to find."""

    @property
    def columns_read(self) -> tuple[str, ...]:
        return self.box

    def frame(self, pixels: Pixels, record: Mapping[str, object]) -> Pixels:
        height, width = pixels.shape[:2]
        place = self._place(width, height, record)
        return pixels if place is None else cut(pixels, *place, self.fill)

    def side(self, width: int, height: int, record: Mapping[str, object]) -> int:
        place = self._place(width, height, record)
        return min(width, height) if place is None else place[2]

    def _place(self, width: int, height: int, record: Mapping[str, object]) -> tuple[int, int, int] | None:
        """Left and upper end of the square and its side; None where the image has no box."""
        texts = [text_of(record.get(name)) for name in self.box]
        if None in texts and self.without == "centre":
            return None
        try:
            x, y, wide, high = (float(str(text)) for text in texts)
        except ValueError as error:
            said = ", ".join(f"{name}: {text}" for name, text in zip(self.box, texts, strict=True))
            raise self._refused(f"has no box: {said}") from error
        if not (wide > 0 and high > 0 and 0 <= x < x + wide <= width + 1 and 0 <= y < y + high <= height + 1):
            raise self._refused(f"of {width} x {height} pixels has a box of {wide:g} x {high:g} at {x:g}, {y:g}")
        side = max(1, round(max(wide, high) * (1 + 2 * self.margin)))
        return _start(x + wide / 2, side, width), _start(y + high / 2, side, height), side

    def _refused(self, why: str) -> DataError:
        return DataError(
            why,
            hint="correct its columns, or set without: centre for images that have no box",
            field="dataset.framing",
        )


def _start(centre: float, side: int, length: int) -> int:
    """Where a stretch of pixels about a centre begins: inside of the image where it fits in, else about its middle."""
    if side >= length:
        return -((side - length) // 2)
    return min(max(0, round(centre - side / 2)), length - side)
