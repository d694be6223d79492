"""Framings: which square of an image is seen, by embedder, model and metrics alike. One file, one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
Fill = Literal["black", "white", "border", "edge"]
"""What stands where there is no image: black, white, the mean colour of its border, or its outermost pixels again."""


class Framing(Method):
    """Turns an image of any size into what is looked at, before it is resized."""

    noun: ClassVar[str] = "framing"

    @property
    def frames(self) -> bool:
        """Whether it changes anything: whoever wants a square crops the centre by himself."""
        return True

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Columns of the metadata that it asks for."""
        return ()

    def frame(self, pixels: Pixels, record: Mapping[str, object]) -> Pixels:
        """uint8 (h, w, 3) -> uint8, square where the framing says so; what is not is cropped to its centre later.

        record      the columns that it asks for

        DataError   they cannot be used
        """
        raise NotImplementedError

    def side(self, width: int, height: int, record: Mapping[str, object]) -> int:
        """Pixels of a side of what is seen of an image of that size."""
        raise NotImplementedError


def cut(pixels: Pixels, left: int, top: int, side: int, fill: Fill) -> Pixels:
    """The square (side, side, 3) at a place, filled where it lies outside of the image (h, w, 3)."""
    height, width = pixels.shape[:2]
    inside = pixels[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    before = max(0, -top), max(0, -left)
    after = max(0, top + side - height), max(0, left + side - width)
    if not any((*before, *after)):
        return np.ascontiguousarray(inside)
    around = [(before[0], after[0]), (before[1], after[1]), (0, 0)]
    if fill == "edge":
        return np.pad(inside, around, mode="edge")
    colour = {"black": 0, "white": 255}.get(fill)
    shade = _border(pixels) if colour is None else np.full(3, colour, dtype=np.uint8)
    square = np.empty((side, side, 3), dtype=np.uint8)
    square[:] = shade
    square[before[0] : side - after[0], before[1] : side - after[1]] = inside
    return square


def _border(pixels: Pixels) -> Pixels:
    """uint8 (3,): the mean colour of the outermost pixels."""
    rim = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    shade: Pixels = np.concatenate(rim).mean(axis=0).round().astype(np.uint8)
    return shade
