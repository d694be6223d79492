"""Calibration: what every metric sees of known harm to the real images, shared by all arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Calibration, Images, Prompt
from mep.artifacts.calibration import Effect
from mep.evaluation.calibration import BETTER, BY_LABEL, RealSets, effects_of
from mep.evaluation.features import features_of
from mep.imaging.degradations import COPIES, DEGRADATIONS, LABELS
from mep.imaging.pixels import square
from mep.machine.work import Work
from mep.methods.allocations import Allocation
from mep.registry import OneOf
from mep.sections.metrics import ReferencesConfig
from mep.stage import stage

MOST_IMAGES = 512
"""Images of a set: beyond, the noise falls as the size says, and the extraction takes longer."""
FEWEST_IMAGES = 32
"""Images of a set below which nothing is said: spreads and halves of fewer mean nothing."""
Dose = tuple[int, float]
"""Place of a degradation in `DEGRADATIONS`, and its dose."""


class CalibrationConfig(ReferencesConfig):
    """What this stage reads of the section `metrics`, and what the run's sets of images will be like."""

    elsewhere: ClassVar[dict[str, str]] = {
        "resolution": "training.base.resolution",
        "allocation": "generation.allocation",
    }

    calibrate: bool = True
    resolution: int
    """Resolution of the base."""
    allocation: OneOf[Allocation]
    """How many images are generated."""


@stage(version=1, section="metrics")
def calibration(config: CalibrationConfig, images: Images, *, work: Work) -> Calibration:
    """Harm real images in known steps and see from which dose on each metric notices, before anything is trained.

    A reference of n images, the images that are harmed, further untouched ones and, where there are enough, others in
    the place of training images are drawn at random from held-out and training images alike. Untouched images are
    therefore at the null of every metric, and what is left is the harm.
    """
    size = config.eval_resolution or config.resolution
    if not config.calibrate:
        return Calibration([], 0, size, ["metrics.calibrate is false"])
    n, left_out = _size_of_sets(config, images)
    if n < FEWEST_IMAGES:
        return Calibration([], n, size, left_out)
    parts = _drawn(len(images), n, config.seed)
    if not len(parts.train):
        left_out.append(f"{COPIES.name} and copy_rate: {len(images)} images leave none to be copied; {4 * n} would do")
    doses = [(place, dose) for place, harm in enumerate(DEGRADATIONS) for dose in harm.doses_at(size)]
    read = HarmedSquares(images, parts.all, parts.harmed, tuple(doses), size, config.seed)
    effects: list[Effect] = []
    for extractor in config.extractors:
        features = features_of(f"{extractor.name}-calibration", read, len(read), extractor, work)
        sets = _real_sets(features, parts, images.labels)
        blocks = features[len(parts.all) :].reshape(len(doses), n, -1)
        harmed = {(DEGRADATIONS[place].name, dose): rows for (place, dose), rows in zip(doses, blocks, strict=True)}
        effects += effects_of(extractor.name, sets, harmed, seed=config.seed, stop=work.stop_if_asked)
    measured = {effect.metric for effect in effects}
    if BY_LABEL not in measured:
        left_out.append(f"{LABELS.name}: fewer than two labels have images enough in sets of {n}")
    left_out += [
        f"{metric}: it has no number for sets of {n}"
        for metric in BETTER
        if metric not in measured and metric not in (BY_LABEL, "copy_rate")
    ]
    return Calibration(effects, n, size, left_out, _examples(read, doses))


def _size_of_sets(config: CalibrationConfig, images: Images) -> tuple[int, list[str]]:
    """Images of a set as the run will compare them, as far as that is known, and what had to be cut."""
    sizes = {"held-out images": int(images.heldout.sum()), "training images": len(images.train)}
    if config.allocation.kind in ("per_label", "total"):  # of others it is known once there are captions
        names: list[str | None] = [*images.label_names] or [None]
        asked = [Prompt(str(name), "", name, None, 1) for name in names]
        sizes["generated images"] = sum(config.allocation.counts(asked, [1] * len(asked)))
    fewest = min(sizes, key=lambda name: sizes[name])
    n = min(sizes[fewest], MOST_IMAGES, len(images) // 3)
    if n < FEWEST_IMAGES:
        why = f"{sizes[fewest]} {fewest}, {len(images)} images in all"
        return n, [f"sets of {n} images are too small, {FEWEST_IMAGES} are the least ({why})"]
    if n < sizes[fewest]:
        why = "calibration takes no more" if n == MOST_IMAGES else f"{len(images)} images allow no more"
        return n, [f"sets of {sizes[fewest]} images: {why} than {n}; at more, smaller doses are noticed"]
    return n, []


@dataclass(frozen=True, eq=False)
class _Parts:
    """Rows of the images: the reference, those that are harmed and further ones, those in place of training images."""

    real: NDArray[np.int64]
    pool: NDArray[np.int64]
    train: NDArray[np.int64]

    @property
    def all(self) -> NDArray[np.int64]:
        return np.concatenate([self.real, self.pool, self.train])

    @property
    def harmed(self) -> NDArray[np.int64]:
        return self.pool[: len(self.real)]


def _drawn(n_images: int, n: int, seed: int) -> _Parts:
    rows = np.random.default_rng([seed, 23, n_images]).permutation(n_images)
    train = rows[3 * n : 4 * n]
    return _Parts(rows[:n], rows[n : 3 * n], train if len(train) >= n // 2 else train[:0])


def _real_sets(features: NDArray[np.float32], parts: _Parts, labels: NDArray[np.int64]) -> RealSets:
    real, pool, train, _ = np.split(features, np.cumsum([len(parts.real), len(parts.pool), len(parts.train)]))
    return RealSets(real, pool, train, labels[parts.real], labels[parts.pool])


@dataclass(frozen=True)
class HarmedSquares:
    """Reads untouched images as squares, then those that are harmed, dose after dose, wherever a worker runs.

    rows        of the untouched images
    harmed      of those that are harmed at every dose
    """

    images: Images
    rows: NDArray[np.int64]
    harmed: NDArray[np.int64]
    doses: tuple[Dose, ...]
    size_px: int
    seed: int

    def __len__(self) -> int:
        return len(self.rows) + len(self.doses) * len(self.harmed)

    def __call__(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack([self._read(number - len(self.rows), number) for number in numbers])

    def _read(self, place: int, number: int) -> NDArray[np.uint8]:
        if place < 0:
            return square(self.images.read(int(self.rows[number])), self.size_px)
        dose, image = divmod(place, len(self.harmed))
        return self.at_dose(image, dose)

    def at_dose(self, image: int, dose: int) -> NDArray[np.uint8]:
        """One of the harmed images; what is random in the harm is the same at every dose."""
        pixels = square(self.images.read(int(self.harmed[image])), self.size_px)
        kind, amount = self.doses[dose]
        return DEGRADATIONS[kind].harm(pixels, amount, np.random.default_rng([self.seed, 29, kind, image]))


def _examples(read: HarmedSquares, doses: Sequence[Dose]) -> dict[str, NDArray[np.uint8]]:
    """One image that is richer in contrast than most, as it is and at every dose of every degradation."""
    looked_at = read.images.take(read.harmed[:64])
    contrast = [float(square(looked_at.read(row), read.size_px).std()) for row in range(len(looked_at))]
    chosen = int(np.argsort(contrast)[len(contrast) * 3 // 4])
    plain = square(looked_at.read(chosen), read.size_px)
    return {
        harm.name: np.stack(
            [plain, *(read.at_dose(chosen, number) for number, (place, _) in enumerate(doses) if place == kind)]
        )
        for kind, harm in enumerate(DEGRADATIONS)
    }
