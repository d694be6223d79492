"""A model of the timm library as a feature space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from mep.imaging.encoders import TIMM_FILES, load_timm, preprocessing_of
from mep.methods.embedders.timm import hub_id
from mep.methods.extractors import Network, PretrainedExtractor

if TYPE_CHECKING:
    from mep.artifacts.score_row import JsonObject


class Timm(PretrainedExtractor):
    """Any vision model of timm by hub id or folder, pathology encoders such as UNI and H-optimus among them.

    The features are those before the classifier, pooled as the model pools them. An id is written as timm writes it:
    hf-hub:MahmoodLab/uni, or vit_small_patch16_224.dino for timm's own.
    """

    kind: Literal["timm"]

    @field_validator("id")
    @classmethod
    def _on_the_hub(cls, name: str | None) -> str | None:
        return hub_id(name)

    def load(self, device: str) -> Network:
        encoder = load_timm(self.folder(TIMM_FILES), device)
        return Network(lambda batch: encoder.prepare(list(batch)), encoder.forward)

    def protocol(self) -> JsonObject:
        return {"layer": "pooled features"} | preprocessing_of(self.folder(TIMM_FILES))
