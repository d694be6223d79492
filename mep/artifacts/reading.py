"""From an image's id to its pixels, or to that part of them that is seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image


class Opener(Protocol):
    """What gives the pixels of an image; every dataset source does."""

    def open(self, image_id: str) -> "Image": ...

    def path_of(self, image_id: str) -> Path | None: ...

    def file_of(self, image_id: str) -> Path | None: ...

    def dump(self) -> dict[str, Any]: ...


class Framer(Protocol):
    """What says which part of an image is seen; every framing does."""

    @property
    def columns_read(self) -> tuple[str, ...]: ...

    def frame(self, pixels: NDArray[np.uint8], record: Mapping[str, object]) -> NDArray[np.uint8]: ...

    def side(self, width: int, height: int, record: Mapping[str, object]) -> int: ...

    def dump(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Reader:
    """RGB pixels (h, w, 3) of an image by its id, of that part of it that is seen.

    window      what becomes black and white of deep grey
    records     what the framing asks for, by image id
    """

    source: Opener
    window: tuple[float, float] | None = None
    framing: Framer | None = None
    records: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        from mep.imaging.pixels import to_rgb

        pixels = to_rgb(self.source.open(image_id), self.window)
        return pixels if self.framing is None else self.framing.frame(pixels, self.records.get(image_id, {}))

    def image(self, image_id: str) -> "Image":
        """The same pixels as an image of Pillow: to copy them to an array and back takes a tenth of decoding."""
        from PIL import Image

        from mep.imaging.pixels import as_rgb

        if self.framing is not None:
            return Image.fromarray(self(image_id))
        return as_rgb(self.source.open(image_id), self.window)
