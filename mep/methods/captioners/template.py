from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mep.methods.captioners import Captioner

if TYPE_CHECKING:
    from mep.artifacts import Images


class Template(Captioner):
    """Fills `prompts.template` with the record of each image: label, cluster and columns."""

    kind: Literal["template"]

    def texts(self, images: Images) -> None:
        return None
