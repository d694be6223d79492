"""A model of the timm library as a feature space."""

from __future__ import annotations

from typing import Any, Literal

from mep.encoders import TIMM_FILES, load_timm, preprocessing_of
from mep.extractors import Network, PretrainedExtractor


class Timm(PretrainedExtractor):
    """Any vision model of timm by hub id or folder, pathology encoders such as UNI and H-optimus among them.

    The features are those before the classifier, pooled as the model pools them.
    """

    kind: Literal["timm"]

    def load(self, device: str) -> Network:
        encoder = load_timm(self.folder(TIMM_FILES), device)
        return Network(lambda batch: encoder.prepare(list(batch)), encoder.forward)

    def protocol(self) -> dict[str, Any]:
        return {"layer": "pooled features"} | preprocessing_of(self.folder(TIMM_FILES))
