"""Pictures as data URIs, so that the page needs no other file."""

import base64
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mep.imaging.pixels import square
from mep.report.data.kept import Kept

LARGEST_PX = 256
"""Side of a picture; smaller images keep their own."""
SIDES = (256, 192, 128, 96, 64)
"""Sides that pictures are tried at where even few of them are too large for the page."""
SMALLEST_SHOWN_PX = 64
"""Images smaller than this are shown enlarged, smoothly: hard pixels would be taken for texture."""

PREFIX = "data:image/webp;base64,"

Read = Callable[[], NDArray[np.uint8]]
"""Reads an image: uint8 (h, w, 3)."""

UNREADABLE = (OSError, ValueError, SyntaxError)
"""What Pillow raises on damaged files; a deleted file is an OSError too."""


class Shot(NamedTuple):
    """An image that can be read.

    state   tells without reading it what its pixels depend on, and raises what reading raises where its file is gone;
            empty where only the pixels tell
    """

    read: Read
    state: Callable[[], str] = str


class Fit(NamedTuple):
    """Pictures of a kind, and the side of each."""

    n: int
    side_px: int


@dataclass(frozen=True)
class Picture:
    """A picture, or in place of it why there is none.

    uri         lossless; empty where there is no picture
    shown_px    side on the page
    side_px     its own side
    key         of a sample: its arm and file, by which the page links it to its nearest training image
    """

    alt: str
    uri: str = ""
    shown_px: int = SMALLEST_SHOWN_PX
    instead: str = ""
    side_px: int = 0
    key: str = ""


class Pictures:
    """Makes pictures and keeps count of their bytes; whoever asks for more stops when it is `full`.

    kept    of earlier pages
    """

    def __init__(self, budget_bytes: float, largest_px: int = LARGEST_PX, kept: Kept | None = None):
        self.left_bytes = budget_bytes
        self.largest_px = largest_px
        self.kept = kept or Kept()

    @property
    def full(self) -> bool:
        return self.left_bytes <= 0

    def of(self, shot: Shot, alt: str, side_px: int = SMALLEST_SHOWN_PX) -> Picture:
        """The centre of an image as a square, lossless WebP, at most `largest_px`.

        side_px     shorter side of the image, for the space that it leaves where it cannot be read
        """
        empty_px = _shown(min(side_px, self.largest_px))
        try:
            side, uri = self._made(shot)
        except FileNotFoundError:
            return Picture(alt, shown_px=empty_px, instead="deleted since")
        except UNREADABLE:
            return Picture(alt, shown_px=empty_px, instead="unreadable now")
        self.left_bytes -= len(uri) - len(PREFIX)
        return Picture(alt, uri, _shown(side), side_px=side)

    def _made(self, shot: Shot) -> tuple[int, str]:
        """Side and address of a picture, as it was kept or made anew."""
        state, pixels = shot.state(), None
        if not state:
            pixels = shot.read()
            state = digest_of(pixels)
        key = f"picture {self.largest_px} {state}"
        if (text := self.kept.find(key)) is None:
            pixels = shot.read() if pixels is None else pixels
            side = min(self.largest_px, *pixels.shape[:2])
            text = f"{side} {data_uri(square(pixels, side))}"
            self.kept.keep(key, text)
        told, _, uri = text.partition(" ")
        return int(told), uri


def pixels_of(picture: Picture) -> NDArray[np.uint8]:
    """The picture as RGB pixels (h, w, 3)."""
    with Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def affordable(
    examples: Sequence[Shot],
    n_of: Callable[[int], int],
    counts: Sequence[int],
    budget_bytes: float,
    kept: Kept | None = None,
) -> Fit:
    """How many pictures of a kind, and how large, fit a budget: rather fewer of them than smaller ones.

    n_of        how many pictures there are in all where at most so many of a kind are shown
    counts      numbers of a kind that are tried, largest first
    """
    for side in SIDES:
        pictures = Pictures(budget_bytes, side, kept)
        sizes = [len(uri) - len(PREFIX) for shot in examples if (uri := pictures.of(shot, "").uri)]
        for count in counts:
            if not sizes or n_of(count) * sum(sizes) / len(sizes) < 0.9 * budget_bytes:
                return Fit(count, side)
    return Fit(counts[-1], SIDES[-1])


def _shown(side: int) -> int:
    """Side on the page: the smallest multiple of the picture's own that is large enough, at most 128 px."""
    return min(side * -(-SMALLEST_SHOWN_PX // side), 128)


def data_uri(pixels: NDArray[np.uint8], quality: int | None = None) -> str:
    """RGB pixels as WebP inside an address; without a quality lossless."""
    from PIL import WebPImagePlugin  # noqa: F401  else saving imports the plugins of all formats

    buffer = io.BytesIO()
    how = {"lossless": True, "quality": 30} if quality is None else {"quality": quality}  # 30: effort, not loss
    Image.fromarray(pixels).save(buffer, "webp", method=1, **how)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def digest_of(array: NDArray[np.generic]) -> str:
    """sha256 of an array with its shape and type."""
    content = np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + content).hexdigest()


def spread(n: int, wanted: int) -> list[int]:
    """At most `wanted` of n positions, evenly spaced: the same at every call."""
    return list(range(n)) if n <= wanted else [int(at) for at in np.linspace(0, n - 1, wanted).round()]
