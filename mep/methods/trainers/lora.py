"""Low-rank adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from mep.diffusion.lora_files import save_for_diffusers, save_for_others
from mep.errors import DataError
from mep.methods.trainers import NewTokens, Trainer
from mep.methods.trainers._targets import chosen, expression, refuse_idle

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn

    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.types import CLIPTextModel, Core

TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]
"""The attention of a CLIP text encoder."""


class Lora(Trainer):
    """Trains a low-rank change of some layers (Hu et al. 2022, arXiv:2106.09685): less memory, a file of megabytes.

    The result is what `load_lora_weights` of diffusers reads, and one for ComfyUI and A1111; the base stays as it is.
    """

    kind: Literal["lora"]
    adapts: ClassVar[bool] = True
    variant: Literal["lora", "dora"] = "lora"
    """lora, or dora, which trains the length of a layer's rows apart from their direction (Liu et al. 2024,
    arXiv:2402.09353): closer to full training at low ranks, slower, and of linear layers only."""
    rank: int = Field(16, ge=1, le=1024)
    """Rank of the change."""
    ranks: dict[str, Annotated[int, Field(ge=1, le=1024)]] = Field(default_factory=dict)
    """Other ranks for some layers: the end of their name, where * stands for anything -> rank. `{"mid_block.*": 32}`.
    The first that fits counts."""
    alpha: float | None = Field(None, gt=0)
    """The change is scaled by alpha / rank. Default: the rank of each layer."""
    alphas: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Other alphas for some layers, in the same way."""
    scaling: Literal["rank", "rank_stabilised"] = "rank"
    """By what alpha is divided: the rank, or its square root, which lets high ranks learn as fast as low ones
    (Kalajdzievski 2023, arXiv:2312.03732)."""
    targets: tuple[str, ...] = Field(("to_q", "to_k", "to_v", "to_out.0"), min_length=1)
    """Ends of the names of the model's layers that are changed; the default is all attention. Add ff.net.0.proj,
    ff.net.2, conv1, conv2, proj_in and proj_out to change nearly all. * stands for anything: up_blocks.*attn2.to_k."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the inputs of the change that are left out while training."""
    new_tokens: NewTokens | None = None
    """Train new tokens of the captions too, with the same learning rate: `{begin: tissue}`, and <morph-{cluster}> in
    the template. Stable Diffusion 1 and 2 only."""

    def check(self, core: nn.Module) -> None:
        """DataError where a pattern fits no layer that can be changed."""
        names = chosen(core, self.targets, "training.method.targets")
        for field in ("ranks", "alphas"):
            refuse_idle(getattr(self, field), names, "layer among the targets", f"training.method.{field}")
        modules = dict(core.named_modules())
        if self.variant == "dora" and (other := [name for name in names if not hasattr(modules[name], "in_features")]):
            raise DataError(
                f"dora changes linear layers only: diffusers cannot load that of a convolution, such as {other[0]}",
                hint="take convolutions out of the targets, or set variant: lora",
                field="training.method.targets",
            )

    def prepare(self, core: Core, text_encoder: CLIPTextModel | None) -> None:
        core.requires_grad_(False)
        has_star = any("*" in target for target in self.targets)
        targets = chosen(core, self.targets, "training.method.targets") if has_star else list(self.targets)
        core.add_adapter(self._settings(targets, self.ranks, self.alphas))
        parameters = [*core.parameters()]
        if text_encoder is not None:
            text_encoder.requires_grad_(False)
            text_encoder.add_adapter(self._settings(TEXT_TARGETS, {}, {}))
            parameters += text_encoder.parameters()
        for parameter in parameters:
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # the base may be held in bfloat16, the change never

    def _settings(self, targets: list[str], ranks: Mapping[str, int], alphas: Mapping[str, float]) -> LoraConfig:
        from peft import LoraConfig

        as_ranks = {} if self.alpha is not None else {name: rank for name, rank in ranks.items() if name not in alphas}
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha or self.rank,  # type: ignore[arg-type]  # peft scales by any number
            rank_pattern={expression(pattern): rank for pattern, rank in ranks.items()},
            alpha_pattern={expression(pattern): alpha for pattern, alpha in {**alphas, **as_ranks}.items()},
            use_dora=self.variant == "dora",
            use_rslora=self.scaling == "rank_stabilised",
            target_modules=targets,
            lora_dropout=self.dropout,
            init_lora_weights="gaussian",
        )

    def save(self, denoiser: Denoiser, folder: Path) -> None:
        save_for_diffusers(denoiser, folder / "lora")
        if self.variant == "lora" and denoiser.family.core == "unet":
            save_for_others(denoiser, folder / "kohya" / "lora.safetensors")
