"""The section `privacy`: what is tried to find out which images a generator was trained on."""

from typing import Literal

from pydantic import Field

from mep.config import Config

Attack = Literal["loss", "nearest"]


class PrivacyConfig(Config):
    """What is tried to find out which images a generator was trained on."""

    attacks: tuple[Attack, ...] = ("loss", "nearest")
    """loss asks the model: does it remove noise better from images that it was trained on? nearest asks the synthetic
    images alone: is one of them unusually near? Empty: nothing is tried."""
    images: int = Field(256, ge=8, le=1_000_000)
    """Training images that are looked for at most, and as many held-out images."""
    levels: int = Field(10, ge=1, le=1000)
    """Levels of noise at which the model is asked about every image."""
    resamples: int = Field(1000, ge=100, le=100_000)
    """Bootstrap resamples of the images, by group where the dataset names groups."""
