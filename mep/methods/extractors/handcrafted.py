"""Colour and texture statistics as features; needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mep.config import digest
from mep.methods.embedders.handcrafted import SIZE_PX
from mep.methods.embedders.handcrafted import Handcrafted as HandcraftedEmbedder
from mep.methods.extractors import Extractor, Features

if TYPE_CHECKING:
    from mep.artifacts.score_row import JsonObject

DESCRIPTION = 1
"""Raise by one when the embedder of this name describes the same image differently; it enters the digest."""


class Handcrafted(Extractor):
    """The 78 histogram values of the `handcrafted` embedder: hue, saturation, value, binary patterns, gradients.

    Every value can be pointed at in an image. Where the clusters were found with the same embedder, prefer another
    extractor: captions made from these clusters push these very numbers.
    """

    kind: Literal["handcrafted"]

    def load(self, device: str) -> Features:
        describe = HandcraftedEmbedder(kind="handcrafted").load(device)
        return lambda batch: describe(list(batch))

    def digest(self) -> str:
        return digest({"kind": self.kind, "size_px": SIZE_PX, "description": DESCRIPTION})

    def protocol(self) -> JsonObject:
        return {"layer": "histograms", "preprocessing": "none", "resize": f"pillow bicubic, anti-aliased @{SIZE_PX}"}
