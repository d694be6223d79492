"""Bases: the latent diffusion model that training starts from. One file, one kind of base."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mep.registry import Method, member

if TYPE_CHECKING:
    from torch import nn

    from mep.artifacts import Images
    from mep.diffusion.families import Family
    from mep.diffusion.pipelines import Tokenizers
    from mep.machine.work import Work


class Base(Method):
    """Puts a pipeline of a known family into a folder."""

    noun: ClassVar[str] = "base"

    implies: ClassVar[dict[str, str]] = {}
    """What the section `training` says where a recipe with such a base does not; so has generation of `precision`."""

    only: ClassVar[dict[str, object]] = {}
    """Fields of the section `training` that such a base leaves no choice of, and their value."""

    resolution: int = Field(512, ge=8, le=4096)
    """Side in pixels of the squares that the model is trained on and generates."""

    @classmethod
    def implied_by(cls, value: object) -> dict[str, str]:
        """The same of a base as a recipe has it, which may be none."""
        kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", value)
        chosen = member(cls, kind) if isinstance(kind, str) else None
        return chosen.implies if chosen and issubclass(chosen, Base) else {}

    @property
    def caption_tokens(self) -> int:
        """Tokens of a caption that the text encoder reads, its begin and end among them."""
        return 77

    @property
    def latent_numbers(self) -> int:
        """Numbers in the latent of an image: 4 channels at an eighth of the side."""
        return 4 * (self.resolution // 8) ** 2

    def outline(self) -> tuple[Family, nn.Module] | None:
        """The family, and the part that removes noise without weights (meta), before there is any; None where nothing
        tells it."""
        return None

    def tokenizers(self) -> Tokenizers:
        """Those of the model, before there is a base; empty where nothing tells them."""
        return []

    def build(self, images: Images, work: Work) -> dict[str, str]:
        """Write `work.out/pipeline`, and `work.out/losses.jsonl` where something was trained on the training images.

        returns     where it comes from: id, revision, license; {} where it was trained from scratch
        """
        raise NotImplementedError
