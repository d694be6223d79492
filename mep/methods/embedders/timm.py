"""A model of the timm library."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from mep.imaging.encoders import TIMM_FILES, Dtype, load_timm
from mep.machine.hub import ModelReference
from mep.methods.embedders import Embed, Embedder


class Timm(ModelReference, Embedder):
    """Any vision model of timm, pathology encoders such as UNI, Phikon or H-optimus among them.

    An id is written as timm writes it: hf-hub:MahmoodLab/uni, or vit_small_patch16_224.dino for timm's own.
    """

    kind: Literal["timm"]
    pooling: Literal["model", "cls", "mean", "cls+mean"] = "model"
    """model: as the model pools its features; else which tokens make the vector."""
    dtype: Dtype = "float32"
    """Arithmetic of the model; bfloat16 is faster where the machine has it, and gives slightly other vectors."""

    @field_validator("id")
    @classmethod
    def _on_the_hub(cls, name: str | None) -> str | None:
        return hub_id(name)

    def load(self, device: str) -> Embed:
        return load_timm(self.folder(TIMM_FILES), device, self.pooling, self.dtype)


def hub_id(name: str | None) -> str | None:
    """Id on the hub of a model as timm names it."""
    if name is None:
        return None
    name = name.removeprefix("hf-hub:")
    return name if "/" in name else f"timm/{name}"
