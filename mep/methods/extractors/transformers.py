"""A vision model of the transformers library as a feature space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mep.imaging.encoders import TRANSFORMERS_FILES, load_transformers, preprocessing_of
from mep.methods.extractors import Network, PretrainedExtractor

if TYPE_CHECKING:
    from mep.artifacts.score_row import JsonObject

CMMD_MODEL = "openai/clip-vit-large-patch14-336"
"""The embeddings of CMMD (Jayasumana et al. 2024, arXiv:2401.09603)."""


class Transformers(PretrainedExtractor):
    """DINOv2, CLIP, a pathology or radiology encoder: any vision model of the transformers library."""

    kind: Literal["transformers"]
    pooling: Literal["cls", "mean", "cls+mean", "projection"] = "cls"
    """Which tokens of the last hidden state make the features; projection: the image embedding of a CLIP, which CMMD
    is defined on."""

    def load(self, device: str) -> Network:
        encoder = load_transformers(self.folder(TRANSFORMERS_FILES), self.pooling, device)
        return Network(lambda batch: encoder.prepare(list(batch)), encoder.forward)

    def protocol(self) -> JsonObject:
        tokens = {"cls": "class token", "mean": "mean of tokens", "cls+mean": "class token and mean of tokens"}
        return {"layer": tokens.get(self.pooling, self.pooling)} | preprocessing_of(self.folder(TRANSFORMERS_FILES))

    def metric_name(self, metric: str, n: int, settings: JsonObject) -> str:
        of_the_paper = self.id == CMMD_MODEL and self.pooling == "projection"
        defaults = settings.get("sigma") == 10.0 and settings.get("unit_length") is True
        defaults = defaults and not settings.get("unbiased")
        return "cmmd" if metric == "mmd_rbf" and of_the_paper and defaults else metric
