"""A low-rank change as files: the one that diffusers reads, and the one of kohya's names for ComfyUI and A1111."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.diffusion.pipelines import LORA_FILE
from mep.errors import DataError
from mep.machine.libraries import prepare_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.families import Family

PREFIXES = {"unet": "lora_unet", "text_encoder": "lora_te"}
"""What kohya calls the parts of Stable Diffusion."""


def save_for_diffusers(denoiser: Denoiser, folder: Path) -> None:
    """Write what `load_lora_weights` reads, with ranks and alphas, so that whoever loads it scales the change alike."""
    import diffusers
    from safetensors import safe_open
    from safetensors.torch import save_file

    layers: dict[str, Any] = {}
    for name, part in _adapted(denoiser):
        settings = part.peft_config["default"].to_dict()  # type: ignore[index, union-attr]
        layers |= {
            f"{name}_lora_layers": _by_diffusers_names(part),
            f"{name}_lora_adapter_metadata": {
                field: sorted(value) if isinstance(value, set) else value for field, value in settings.items()
            },
        }
    getattr(diffusers, denoiser.family.pipeline).save_lora_weights(folder, weight_name=LORA_FILE, **layers)
    path = folder / LORA_FILE
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        settings = file.metadata()["lora_adapter_metadata"]
    # the order of several entries in the header would differ from file to file: keep the one that counts
    save_file(tensors, path, metadata={"lora_adapter_metadata": settings})


def _by_diffusers_names(part: nn.Module) -> dict[str, Tensor]:
    from diffusers.utils.state_dict_utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    by_peft: dict[str, Tensor] = get_peft_model_state_dict(part)
    converted: dict[str, Tensor] = convert_state_dict_to_diffusers(by_peft)
    # only attention has names of diffusers; of a file with both kinds of names, its loader drops one without a word
    return by_peft if any(".lora_A." in name for name in converted) else converted


def save_for_others(denoiser: Denoiser, path: Path) -> None:
    """Write the change by kohya's names, in which a layer's alpha says that it is scaled by alpha / rank.

    Where layers differ in rank or scale, all are filled up with zeros to the highest rank, and scaled beforehand:
    diffusers reads such a file wrongly unless all its layers are alike.
    """
    import torch
    from safetensors.torch import save_file

    layers = {_kohya_name(name, layer): module for name, part in _adapted(denoiser) for layer, module in _changes(part)}
    sides = {key: (module.lora_A["default"].weight, module.lora_B["default"].weight) for key, module in layers.items()}
    scales = {key: float(module.scaling["default"]) for key, module in layers.items()}
    rank = max(len(down) for down, _ in sides.values())
    alike = len(set(scales.values())) == 1 and all(len(down) == rank for down, _ in sides.values())
    tensors = {}
    for key, (down, up) in sides.items():
        if not alike:
            down, up = _filled_up(down, rank, 0), scales[key] * _filled_up(up, rank, 1)
        tensors[f"{key}.lora_down.weight"] = down.detach().contiguous().cpu()
        tensors[f"{key}.lora_up.weight"] = up.detach().contiguous().cpu()
        tensors[f"{key}.alpha"] = torch.tensor(rank * (scales[key] if alike else 1.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


def _kohya_name(part: str, layer: str) -> str:
    spelled = layer if part == "unet" or layer.startswith("text_model.") else f"text_model.{layer}"
    return f"{PREFIXES[part]}_{spelled.replace('.', '_')}"


def _filled_up(values: Tensor, n: int, axis: int) -> Tensor:
    """The same with n rows or columns, zeros after its own."""
    import torch

    shape = list(values.shape)
    shape[axis] = n - shape[axis]
    return torch.cat([values, values.new_zeros(shape)], dim=axis)


def _changes(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers of a part that are changed, by name."""
    return ((name, module) for name, module in part.named_modules() if hasattr(module, "lora_A"))


def _adapted(denoiser: Denoiser) -> Iterator[tuple[str, nn.Module]]:
    """The parts that a low-rank change was added to."""
    return ((name, part) for name, part in denoiser.parts() if hasattr(part, "peft_config"))


def lora_file(path: Path) -> Path:
    """The file of LoRA weights at a path; DataError where there is none, or several."""
    found = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    named = [file for file in found if file.name == LORA_FILE] or found
    if len(named) != 1 or named[0].suffix != ".safetensors":
        listing = ", ".join(file.name for file in named) or "none"
        raise DataError(
            f"{path} holds no LoRA weights, or several: {listing}",
            hint=f"name the .safetensors file itself, or a folder with {LORA_FILE}",
            field="samples.lora",
        )
    return named[0]


def check_change(path: Path, family: Family, core: nn.Module) -> None:
    """DataError where a file changes other layers than a model has, which may be without weights (meta)."""
    prepare_libraries()
    import diffusers
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
    from safetensors.torch import load_file

    hint = f"name LoRA weights of a {family.pipeline}, or the model that they were trained on: samples.pipeline"
    reader = getattr(diffusers, family.pipeline).lora_state_dict
    settings = {"unet_config": core.config} if family.core == "unet" else {}
    try:
        given = reader(load_file(path), **settings)
        tensors = convert_unet_state_dict_to_peft(given[0] if isinstance(given, tuple) else given)
    except (ValueError, KeyError) as error:
        problem = f"{path} holds no LoRA weights that a {family.pipeline} reads: {str(error).splitlines()[0][:200]}"
        raise DataError(problem, hint=hint, field="samples.lora") from error
    layers = dict(core.named_modules())
    changes = {name.removeprefix(f"{family.core}."): values for name, values in tensors.items()}
    ours = {name: values for name, values in changes.items() if name not in tensors}
    for name, values in ours.items():
        layer, side = name.partition(".lora_")[::2]
        weight = getattr(layers.get(layer), "weight", None)
        axis = {"A": 1, "B": 0}.get(side[:1])
        if weight is None or (axis is not None and values.shape[axis] != weight.shape[axis]):
            sizes = "" if weight is None else f", of {weight.shape[axis]} channels and not {values.shape[axis]}"
            problem = f"{path} changes other layers than the model has: {layer}" + (sizes or ", which is not there")
            raise DataError(problem, hint=hint, field="samples.lora")
    if not ours:
        raise DataError(f"{path} changes no layer of a {family.core}", hint=hint, field="samples.lora")
