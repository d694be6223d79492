"""Captions that were written elsewhere: reports, or what a vision-language model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mep.methods._given import FromTable, said_of
from mep.methods.captioners import Captioner

if TYPE_CHECKING:
    from mep.artifacts import Images


class Given(FromTable, Captioner):
    """The caption of every image as a column has it. `prompts.template` plays no part.

    Images of one caption share a prompt. A prompt has the label that all its images have, and none where they differ.
    """

    kind: Literal["given"]
    column: str = "text"
    """Column that holds the caption."""
    too_long: Literal["refuse", "cut"] = "refuse"
    """What becomes of a caption with more tokens than the text encoder reads: the run stops and says how many there
    are, or the caption ends with the last word that fits."""

    def texts(self, images: Images) -> list[str | None]:
        return said_of(images, self.path, self.id, self.column, "prompts.method")
