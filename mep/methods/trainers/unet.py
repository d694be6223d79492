"""The whole UNet."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mep.diffusion.pipelines import forget_places
from mep.methods.trainers import Trainer

if TYPE_CHECKING:
    from mep.diffusion.denoiser import Denoiser


class Unet(Trainer):
    """Trains every weight of the denoising UNet, and of the text encoder where the recipe says so."""

    kind: Literal["unet"]
    replaces: ClassVar[tuple[str, ...]] = ("unet", "text_encoder")

    def prepare(self, unet: Any, text_encoder: Any) -> None:
        unet.requires_grad_(True)
        if text_encoder is not None:
            text_encoder.requires_grad_(True)

    def save(self, denoiser: "Denoiser", folder: Path) -> None:
        parts: dict[str, Any] = dict(denoiser.named_children())
        for name, part in parts.items():
            part.save_pretrained(folder / "pipeline" / name, safe_serialization=True)
            forget_places(folder / "pipeline" / name)
