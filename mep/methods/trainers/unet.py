"""The whole UNet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mep.diffusion.pipelines import forget_places
from mep.methods.trainers import Trainer

if TYPE_CHECKING:
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.types import CLIPTextModel, Core


class Unet(Trainer):
    """Trains every weight of the part that removes noise, UNet or transformer, and of the text encoder where the recipe
    says so."""

    kind: Literal["unet"]
    replaces: ClassVar[tuple[str, ...]] = ("unet", "transformer", "text_encoder")

    def prepare(self, core: Core, text_encoder: CLIPTextModel | None) -> None:
        core.requires_grad_(True)
        if text_encoder is not None:
            text_encoder.requires_grad_(True)

    def save(self, denoiser: Denoiser, folder: Path) -> None:
        for name, part in denoiser.parts():
            part.save_pretrained(folder / "pipeline" / name, safe_serialization=True)
            forget_places(folder / "pipeline" / name)
