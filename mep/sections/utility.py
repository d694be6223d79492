"""The section `utility`: what generated images teach a classifier that is tested on real ones."""

from pydantic import Field, field_validator

from mep.config import Config
from mep.methods.extractors import Extractor
from mep.methods.extractors.efficientnet_lite0 import EfficientNetLite0
from mep.methods.probes import Probe
from mep.methods.probes.linear import Linear
from mep.registry import OneOf


class CeilingConfig(Config):
    """The part of the section `utility` that the stage `ceiling` reads."""

    probe: OneOf[Probe] = Linear(kind="linear")
    """The classifier that is trained on real, on synthetic and on both kinds of images."""
    extractor: OneOf[Extractor] = EfficientNetLite0(kind="efficientnet_lite0")
    """What turns images into the features that the probe sees, where it does not see pixels."""
    eval_resolution: int | None = Field(None, ge=8, le=1024)
    """Side in pixels to which all images are brought first. Default: the resolution of the base."""
    fractions: tuple[float, ...] = Field((0.1, 1.0), min_length=1)
    """Shares of the real training images: how much are synthetic ones worth where real ones are few?"""
    repeats: int = Field(3, ge=1, le=100)
    """Random subsets per share that is not the whole, and trainings of a probe that starts from random weights."""

    @field_validator("fractions")
    @classmethod
    def _shares(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share <= 1 for share in fractions):
            raise ValueError("every share is above 0 and at most 1")
        return tuple(sorted({*fractions, 1.0}))


class UtilityConfig(CeilingConfig):
    """What generated images teach a classifier that is tested on real ones."""

    ratios: tuple[float, ...] = ()
    """Synthetic images added to every real one. Empty: all that there are."""
    margin: float = Field(0.05, gt=0, lt=0.5)
    """AUROC that training on synthetic images instead of real ones may lose and still be called non-inferior; to be
    named before the result is seen."""
    resamples: int = Field(1000, ge=100, le=100_000)
    """Bootstrap resamples of the held-out images, by group where the dataset names groups."""

    @field_validator("ratios")
    @classmethod
    def _positive(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < ratio <= 1000 for ratio in ratios):
            raise ValueError("every ratio is above 0 and at most 1000")
        return tuple(sorted(set(ratios)))
