"""Known harm to real images, in known doses: what a score has to notice before it can be trusted.

`DEGRADATIONS` change pixels, `CHANGES` change which images are in a set or what is said of them. Doses are listed from
the weakest to the strongest.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Harm = Callable[[Pixels, float, np.random.Generator], Pixels]
"""uint8 (h, w, 3), dose, what is random in it -> the harmed image, uint8 (h, w, 3)."""

CUTS = (2, 4, 8, 16)
"""Blocks along a side of an image whose blocks are shuffled."""


@dataclass(frozen=True)
class Change:
    """One kind of harm.

    doses       from the weakest to the strongest; of `shuffled blocks` see `doses_at`
    wording     what is said of a dose, such as `blur from {} px`
    digits      significant digits that a dose is told with
    offset      strength is the dose, or where a smaller dose is the stronger one, `offset - dose`
    """

    name: str
    doses: tuple[float, ...]
    unit: str
    wording: str
    offset: float = 0.0
    digits: int = 2

    def doses_at(self, size_px: int) -> tuple[float, ...]:
        """The doses for squares of a size."""
        return self.doses

    def strength(self, dose: float) -> float:
        """Grows with the harm, above 0; a dose between two steps is looked for on its logarithm."""
        return self.offset - dose if self.offset else dose

    def dose_of(self, strength: float) -> float:
        """The inverse of `strength`."""
        return self.strength(strength)

    def told(self, dose: float) -> str:
        """The dose in words: `blur from 0.62 px`."""
        return self.wording.format(self.number(dose))

    def number(self, dose: float) -> str:
        """The dose as far as its digits go."""
        return f"{float(f'{dose:.{self.digits}g}'):g}"


@dataclass(frozen=True)
class Degradation(Change):
    """Harm to the pixels of an image."""

    harm: Harm = lambda pixels, dose, rng: pixels


@dataclass(frozen=True)
class Shuffling(Degradation):
    """Harm whose dose is the side of a block: the smaller, the stronger."""

    def doses_at(self, size_px: int) -> tuple[float, ...]:
        return tuple(float(size_px // cut) for cut in CUTS if size_px // cut >= 2)

    def strength(self, dose: float) -> float:
        return 1 / dose


def blurred(pixels: Pixels, sigma_px: float, rng: np.random.Generator) -> Pixels:
    """A Gaussian blur of every channel; edges are mirrored, and rounding is to the nearest level."""
    from scipy.ndimage import gaussian_filter

    soft = gaussian_filter(pixels.astype(np.float64), (sigma_px, sigma_px, 0))
    return np.asarray(np.round(soft.clip(0, 255)).astype(np.uint8))


def noisy(pixels: Pixels, sd: float, rng: np.random.Generator) -> Pixels:
    """Independent normal noise on every channel of every pixel, of a standard deviation in grey levels, clipped."""
    return np.round((pixels + sd * rng.standard_normal(pixels.shape)).clip(0, 255)).astype(np.uint8)


def compressed(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Through JPEG, as Pillow writes it: chroma at half the resolution, standard tables scaled by the quality."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=round(quality), subsampling="4:2:0")
    return np.asarray(Image.open(file).convert("RGB"))


def stained(pixels: Pixels, percent: float, rng: np.random.Generator) -> Pixels:
    """A stain so many percent stronger: every optical density times 1 + percent / 100.

    Densities of all stains grow alike (Beer and Lambert), whatever their colours. Of grey images it is a gamma.
    """
    levels = 255 * (np.arange(256) / 255) ** (1 + percent / 100)
    return np.asarray(np.round(levels).astype(np.uint8)[pixels])


def shuffled(pixels: Pixels, side_px: float, rng: np.random.Generator) -> Pixels:
    """Square blocks in another order, none where it was: every colour is kept, and what is larger than a block lost.

    A rest at the right and at the bottom that is no whole block stays.
    """
    side = int(side_px)
    down, across = (length // side for length in pixels.shape[:2])
    blocks = pixels[: down * side, : across * side].reshape(down, side, across, side, -1).swapaxes(1, 2)
    blocks = blocks.reshape(down * across, side, side, -1)
    turn = rng.permutation(down * across)  # each block takes the place of the next one in a random round
    dealt = np.empty_like(blocks)
    dealt[turn] = blocks[np.roll(turn, 1)]
    harmed = pixels.copy()
    dealt = dealt.reshape(down, across, side, side, -1).swapaxes(1, 2)
    harmed[: down * side, : across * side] = dealt.reshape(down * side, across * side, -1)
    return harmed


DEGRADATIONS = (
    Degradation("blur", (0.4, 0.8, 1.5, 3.0), "px", "blur from {} px", harm=blurred),
    Degradation("noise", (3, 6, 12, 25), "grey levels", "noise from {} grey levels", harm=noisy),
    Degradation("JPEG", (90, 70, 45, 20), "quality", "JPEG below quality {}", offset=100, harm=compressed),
    Degradation("stain", (3, 7, 15, 30), "%", "a stain {} % stronger", harm=stained),
    Shuffling("shuffled blocks", (), "px", "shuffled blocks of {} px or smaller", harm=shuffled),
)
"""Harm to the pixels of images."""

VARIETY = Change("repeats", (90, 75, 50, 25), "% distinct", "repeats below {} % distinct images", offset=100)
"""Only so many percent of the images are distinct; the others repeat them."""
LABELS = Change("swapped labels", (5, 10, 20, 40), "%", "{} % swapped labels")
"""So many percent of the images carry the label of another class."""
COPIES = Change("copies", (1, 3, 10, 30), "%", "{} % copies of training images")
"""So many percent of the images are training images."""
CHANGES = (VARIETY, LABELS, COPIES)
"""Harm to a set of images whose pixels stay as they are."""
KINDS: dict[str, Change] = {change.name: change for change in (*DEGRADATIONS, *CHANGES)}
"""All harm, by name, in the order in which it is shown."""
