"""Bases: the latent diffusion model that training starts from. One file, one kind of base."""

from typing import ClassVar

from pydantic import Field

from mep.artifacts import Images
from mep.machine.work import Work
from mep.registry import Method


class Base(Method):
    """Puts a StableDiffusionPipeline into a folder."""

    noun: ClassVar[str] = "base"

    resolution: int = Field(512, ge=8, le=4096)
    """Side in pixels of the squares that the model is trained on and generates."""

    @property
    def caption_tokens(self) -> int:
        """Tokens of a caption that the text encoder reads, its begin and end among them."""
        return 77

    @property
    def latent_factor(self) -> int:
        """Pixels of a side that become one latent element."""
        return 8

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return 4

    def build(self, images: Images, work: Work) -> dict[str, str]:
        """Write `work.out/pipeline`, and `work.out/losses.jsonl` where something was trained.

        images      the training part of the dataset

        returns     where it comes from: id, revision, license; {} where it was trained from scratch

        EnvironmentLacks    a pretrained model is missing
        """
        raise NotImplementedError
