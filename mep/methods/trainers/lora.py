"""Low-rank adaptation."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mep.diffusion.pipelines import LORA_FILE
from mep.errors import DataError
from mep.methods.trainers import Trainer

if TYPE_CHECKING:
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.types import CLIPTextModel, Core

TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]
"""The attention of a CLIP text encoder."""


class Lora(Trainer):
    """Trains a low-rank change of some layers (Hu et al. 2022, arXiv:2106.09685): less memory, a file of megabytes.

    The result is what `load_lora_weights` of diffusers reads; the base stays as it is.
    """

    kind: Literal["lora"]
    adapts: ClassVar[bool] = True
    rank: int = Field(16, ge=1, le=1024)
    """Rank of the change."""
    alpha: float | None = Field(None, gt=0)
    """The change is scaled by alpha / rank. Default: the rank."""
    targets: tuple[str, ...] = Field(("to_q", "to_k", "to_v", "to_out.0"), min_length=1)
    """Ends of the names of the model's layers that are changed; the default is all attention. Add ff.net.0.proj,
    ff.net.2, conv1, conv2, proj_in and proj_out to change nearly all."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the inputs of the change that are left out while training."""

    def prepare(self, core: "Core", text_encoder: "CLIPTextModel | None") -> None:
        from peft import LoraConfig

        def settings(targets: list[str]) -> LoraConfig:
            return LoraConfig(
                r=self.rank,
                lora_alpha=self.alpha or self.rank,  # type: ignore[arg-type]  # peft scales by any number
                target_modules=targets,
                lora_dropout=self.dropout,
                init_lora_weights="gaussian",
            )

        self._check_targets(core)
        core.requires_grad_(False)
        core.add_adapter(settings(list(self.targets)))
        parameters = [*core.parameters()]
        if text_encoder is not None:
            text_encoder.requires_grad_(False)
            text_encoder.add_adapter(settings(TEXT_TARGETS))
            parameters += text_encoder.parameters()
        for parameter in parameters:
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # the base may be held in bfloat16, the change never

    def _check_targets(self, core: "Core") -> None:
        """DataError where a target matches no layer that can be changed: peft complains only if none of them does."""
        import torch

        changeable = (torch.nn.Linear, torch.nn.Conv2d)
        names = [name for name, module in core.named_modules() if isinstance(module, changeable)]
        for target in self.targets:
            if not any(name == target or name.endswith(f".{target}") for name in names):
                endings = sorted({name.split(".")[-1] for name in names} - {str(n) for n in range(10)})
                raise DataError(
                    f"no linear or convolution layer of the model is called {target!r}",
                    hint=f"its layers end in {', '.join(endings)}",
                    field="training.method.targets",
                )

    def save(self, denoiser: "Denoiser", folder: Path) -> None:
        import diffusers
        from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
        from peft.utils import get_peft_model_state_dict
        from safetensors import safe_open
        from safetensors.torch import save_file

        layers: dict[str, Any] = {}
        for name, part in denoiser.parts():
            settings = part.peft_config["default"].to_dict()  # type: ignore[union-attr]
            layers |= {
                f"{name}_lora_layers": convert_state_dict_to_diffusers(get_peft_model_state_dict(part)),
                # rank and alpha, so that whoever loads the file scales the change alike
                f"{name}_lora_adapter_metadata": {
                    field: sorted(value) if isinstance(value, set) else value for field, value in settings.items()
                },
            }
        getattr(diffusers, denoiser.family.pipeline).save_lora_weights(folder / "lora", weight_name=LORA_FILE, **layers)
        path = folder / "lora" / LORA_FILE
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
            settings = file.metadata()["lora_adapter_metadata"]
        # the order of several entries in the header would differ from file to file: keep the one that counts
        save_file(tensors, path, metadata={"lora_adapter_metadata": settings})
