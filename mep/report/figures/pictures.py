"""Pictures as data URIs, so that the page needs no other file, and rows of them: real images, samples of arms."""

import base64
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mep.artifacts import Images, Samples
from mep.imaging.pixels import square
from mep.recipe.model import repeat_of
from mep.report.data.artifacts import OpenArm
from mep.report.data.runs import Report
from mep.report.text import clipped, plain
from mep.store.database import Row

LARGEST_PX = 256
"""Side of a picture; smaller images keep their own."""
SIDES = (256, 192, 128, 96, 64)
"""Sides that pictures are tried at where even few of them are too large for the page."""
SMALLEST_SHOWN_PX = 64
"""Images smaller than this are shown enlarged, smoothly: hard pixels would be taken for texture."""

NO_LABEL = "no label"
PREFIX = "data:image/webp;base64,"

Read = Callable[[], NDArray[np.uint8]]
"""Reads an image: uint8 (h, w, 3)."""

UNREADABLE = (OSError, ValueError, SyntaxError)
"""What Pillow raises on damaged files; a deleted file is an OSError too."""


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
    """Makes pictures and keeps count of their bytes; whoever asks for more stops when it is `full`."""

    def __init__(self, budget_bytes: float, largest_px: int = LARGEST_PX):
        self.left_bytes = budget_bytes
        self.largest_px = largest_px

    @property
    def full(self) -> bool:
        return self.left_bytes <= 0

    def of(self, read: Read, alt: str, side_px: int = SMALLEST_SHOWN_PX) -> Picture:
        """The centre of an image as a square, lossless WebP, at most `largest_px`.

        side_px     shorter side of the image, for the space that it leaves where it cannot be read
        """
        empty_px = _shown(min(side_px, self.largest_px))
        try:
            pixels = read()
        except FileNotFoundError:
            return Picture(alt, shown_px=empty_px, instead="deleted since")
        except UNREADABLE:
            return Picture(alt, shown_px=empty_px, instead="unreadable now")
        side = min(self.largest_px, *pixels.shape[:2])
        uri = data_uri(square(pixels, side))
        self.left_bytes -= len(uri) - len(PREFIX)
        return Picture(alt, uri, _shown(side), side_px=side)


def pixels_of(picture: Picture) -> NDArray[np.uint8]:
    """The picture as RGB pixels (h, w, 3)."""
    with Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def affordable(examples: Sequence[Read], n_of: Callable[[int], int], counts: Sequence[int], budget_bytes: float) -> Fit:
    """How many pictures of a kind, and how large, fit a budget: rather fewer of them than smaller ones.

    n_of        how many pictures there are in all where at most so many of a kind are shown
    counts      numbers of a kind that are tried, largest first
    """
    readable = []
    for read in examples:
        with suppress(*UNREADABLE):  # the page says so where the picture would stand
            readable.append(read())
    for side in SIDES:
        sizes = [len(data_uri(square(pixels, min(side, *pixels.shape[:2])))) - len(PREFIX) for pixels in readable]
        for count in counts:
            if not sizes or n_of(count) * sum(sizes) / len(sizes) < 0.9 * budget_bytes:
                return Fit(count, side)
    return Fit(counts[-1], SIDES[-1])


def _shown(side: int) -> int:
    """Side on the page: the smallest multiple of the picture's own that is large enough, at most 128 px."""
    return min(side * -(-SMALLEST_SHOWN_PX // side), 128)


def data_uri(pixels: NDArray[np.uint8], quality: int | None = None) -> str:
    """RGB pixels as WebP inside an address; without a quality lossless."""
    buffer = io.BytesIO()
    how = {"lossless": True, "quality": 30} if quality is None else {"quality": quality}  # 30: effort, not loss
    Image.fromarray(pixels).save(buffer, "webp", method=1, **how)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def spread(n: int, wanted: int) -> list[int]:
    """At most `wanted` of n positions, evenly spaced: the same at every call."""
    return list(range(n)) if n <= wanted else [int(at) for at in np.linspace(0, n - 1, wanted).round()]


@dataclass(frozen=True)
class Strip:
    """Pictures in a row and what they are: samples of arms, or real images where `arms` is empty.

    arms    labels of the arms that share the samples
    n       images that there are, shown or not
    """

    arms: list[str]
    what: str
    n: int
    pictures: list[Picture]


class RealImages:
    """Pictures of the dataset by image id."""

    def __init__(self, images: Images):
        self.images = images
        self.row_of = {image_id: row for row, image_id in enumerate(images.ids)}

    def label_of(self, image_id: str) -> str:
        return self.images.label_of(self.row_of[image_id]) or NO_LABEL

    def picture(self, image_id: str, pictures: Pictures) -> Picture:
        row = self.row_of[image_id]
        alt = f"real image {clipped(plain(image_id))}, {clipped(plain(self.label_of(image_id)))}"
        return pictures.of(lambda: self.images.read(row), alt, int(self.images.take(np.array([row])).sides[0]))

    def strip(self, what: str, image_ids: Sequence[str], n_shown: int, pictures: Pictures) -> Strip:
        """Evenly spread over the images."""
        shown = [self.picture(image_ids[number], pictures) for number in spread(len(image_ids), n_shown)]
        return Strip([], what, len(image_ids), shown)


@dataclass(frozen=True, eq=False)
class SampleSet:
    """The samples that some arms share, with what the first of them knows about them."""

    arms: list[str]
    arm: OpenArm
    samples: Samples
    rows: list[Row]

    def strip(self, rows: Sequence[Row], n_shown: int, pictures: Pictures, *, spread_out: bool) -> Strip:
        """Evenly spread over the rows, or the first of them."""
        numbers = spread(len(rows), n_shown) if spread_out else range(min(len(rows), n_shown))
        return Strip(self.arms, "generated", len(rows), [self.picture(rows[number], pictures) for number in numbers])

    def picture(self, row: Row, pictures: Pictures) -> Picture:
        alt = f"generated image {row['ordinal']} of {clipped(plain(row['text']))}"
        found = pictures.of(lambda: self.samples.read(row), alt)
        return replace(found, key=f"{plain(self.arms[0])}: {plain(row['file_name'])}")


def sample_sets(report: Report) -> list[SampleSet]:
    """Every distinct set of samples, with its rows read once; of an arm with several trainings that of the first."""
    return [
        SampleSet(shared.labels, shared.arms[0], shared.artifact, shared.artifact.rows)
        for shared in report.shared(Samples)
        if has_first_training(shared.labels)
    ]


def has_first_training(labels: Sequence[str]) -> bool:
    """Whether some of these arms are not repeats; pictures of repeats would be more of the same."""
    return any(repeat_of(label)[1] == 1 for label in labels)
