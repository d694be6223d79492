"""The section `metrics`: what is measured, and in which feature spaces."""

from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, SerializationInfo, field_validator, model_validator

from mep.config import Config
from mep.methods.extractors import Extractor
from mep.methods.extractors.efficientnet_lite0 import EfficientNetLite0
from mep.methods.extractors.random_conv import RandomConv
from mep.methods.scores import Score
from mep.methods.scores.adherence import Adherence
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid
from mep.methods.scores.memorisation import Memorisation
from mep.methods.scores.prdc import Prdc
from mep.registry import OneOf


class ReferencesConfig(Config):
    """The part of the section `metrics` that the stage `references` reads."""

    extractors: tuple[OneOf[Extractor], ...] = Field(
        (EfficientNetLite0(kind="efficientnet_lite0"), RandomConv(kind="random_conv")), min_length=1
    )
    """Feature spaces in which real and generated images are compared; the first is the headline, and none may be the
    clustering's embedder."""
    eval_resolution: int | None = Field(None, ge=8, le=1024)
    """Side in pixels to which both sets are brought first. Default: the resolution of the base."""
    train_images: int | None = Field(None, ge=3, le=1_000_000_000)
    """Training images to look at, drawn by `seed`; copies of others go unnoticed. Default: all."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Which images are drawn where sets are brought to equal size, and how halves are cut: the same in all arms."""

    @field_validator("extractors")
    @classmethod
    def _distinct(cls, extractors: tuple[Extractor, ...]) -> tuple[Extractor, ...]:
        names = [extractor.name for extractor in extractors]
        if len(set(names)) < len(names):
            raise ValueError(f"two extractors have one name: {', '.join(sorted(names))}")
        return extractors


GroupKind = Literal["label", "cluster", "prompt"]


def _unread(value: bool, info: SerializationInfo) -> bool | None:
    """What another stage reads of this section enters no fingerprint here."""
    return None if (info.context or {}).get("purpose") == "fingerprint" else value


class MetricsConfig(ReferencesConfig):
    """What is measured, and in which feature spaces."""

    scores: tuple[OneOf[Score], ...] = Field(
        (
            Frechet(kind="frechet"),
            Kid(kind="kid"),
            Prdc(kind="prdc"),
            Memorisation(kind="memorisation"),
            Adherence(kind="adherence"),
        ),
        min_length=1,
    )
    """Comparisons of generated with held-out, and with training images."""
    groups: tuple[GroupKind, ...] = ("label", "cluster", "prompt")
    """Parts that are scored one by one as well; too small ones say so. Where images show several findings, `label` is
    each finding: an image with two of them belongs to both."""
    halves: int = Field(40, ge=0, le=1000)
    """Halves of the images on which scores are measured again, in pairs that share no image; 0 leaves the uncertainty
    of what has no closed form out."""
    calibrate: Annotated[bool, PlainSerializer(_unread, return_type=bool | None)] = True
    """Whether the stage `calibration` finds out from which dose on metrics notice blur, noise and other harm."""

    @model_validator(mode="after")
    def _metrics_are_distinct(self) -> Self:
        names = [metric for score in self.scores for metric in score.better]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two scores give the metric {', '.join(twice)}")
        return self
