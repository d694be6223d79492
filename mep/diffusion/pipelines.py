"""Loading pipelines and their parts, and the way of pixels in and out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mep.diffusion.families import family_of
from mep.diffusion.token_names import TOKENS
from mep.errors import DataError
from mep.machine.files import read_json, write_json
from mep.machine.libraries import prepare_libraries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from mep.diffusion.types import AutoencoderKL, DiffusionPipeline

LIBRARIES = ("diffusers", "transformers", "mep.diffusion.patch_autoencoder")
"""Modules that parts of a pipeline may come from."""
LORA_FILE = "pytorch_lora_weights.safetensors"
Tokenizers: TypeAlias = list[tuple[int, Callable[[], Any]]]
"""Of each: how many tokens of a caption are read, and what loads it."""


def own_modules(folder: Path) -> list[str]:
    """Modules of mep that parts of a pipeline come from; whoever loads it with diffusers alone imports them first."""
    parts = read_json(folder / "model_index.json").values()
    return sorted({part[0] for part in parts if isinstance(part, list) and str(part[0]).startswith("mep.")})


def load_pipeline(folder: Path, device: str, *, lora_scale: float = 1.0) -> DiffusionPipeline:
    """The diffusers pipeline in a folder, silent and on the device, in float32 and evaluation mode.

    lora_scale      how strongly the LoRA weights that lie in `lora/` beside the folder, if any, change the model
    """
    family = family_of(folder)
    prepare_libraries()
    import diffusers
    from torch import nn

    for library in LIBRARIES:
        importlib.import_module(library)  # diffusers takes parts from modules that somebody else imported
    pipeline_class = getattr(diffusers, family.pipeline)
    spared = family.left_out | family.absent(folder)
    pipeline: DiffusionPipeline = pipeline_class.from_pretrained(folder, use_safetensors=True, **spared)
    pipeline.set_progress_bar_config(disable=True)
    if (folder.parent / "lora" / LORA_FILE).exists() and lora_scale:
        pipeline.load_lora_weights(folder.parent / "lora", weight_name=LORA_FILE)
        pipeline.fuse_lora(lora_scale=lora_scale)
        pipeline.unload_lora_weights()
    if tokens := sorted((folder.parent / TOKENS).glob("*.safetensors")):
        n_words = len(pipeline.tokenizer) + len(tokens)
        pipeline.text_encoder.resize_token_embeddings(n_words, mean_resizing=False)  # else it draws rows, and warns
        pipeline.load_textual_inversion([str(path) for path in tokens])
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval()
    pipeline.to(device)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            lay_out(part, device)
    return pipeline


def taken_out(pipeline: Any, names: Sequence[str]) -> SimpleNamespace:
    """Parts of a pipeline, which has none in their place from now on; None for those that it did not have."""
    parts = {name: getattr(pipeline, name) for name in names}
    pipeline.register_modules(**dict.fromkeys(names))
    return SimpleNamespace(**parts)


def load_part(folder: Path, part: str, device: str, *, dtype: str = "float32") -> Any:
    """One part of a pipeline folder by the class that `model_index.json` names; models in evaluation mode."""
    prepare_libraries()
    import torch

    library, part_class = _class_of(folder, part)
    if not issubclass(part_class, torch.nn.Module):
        return part_class.from_pretrained(folder / part)
    precision = {"torch_dtype" if library == "diffusers" else "dtype": getattr(torch, dtype)}
    loaded = part_class.from_pretrained(folder / part, use_safetensors=True, **precision).to(device).eval()
    lay_out(loaded, device)
    return loaded


def tokenizers_in(folder: Path) -> Tokenizers:
    """The tokenizers of a pipeline's folder; none is loaded."""
    family = family_of(folder)
    found: Tokenizers = []
    for part in family.readers(folder).values():
        settings = folder / part / "tokenizer_config.json"
        says = read_json(settings).get("model_max_length") if settings.is_file() else None
        found.append(
            (min(int(says or family.most_tokens), family.most_tokens), partial(load_part, folder, part, "cpu"))
        )
    return found


def outline_of(folder: Path, part: str) -> nn.Module:
    """One part of diffusers by its configuration alone, on the meta device: its layers without their weights."""
    prepare_libraries()
    import torch

    _, part_class = _class_of(folder, part)
    with torch.device("meta"):
        outline: nn.Module = part_class.from_config(read_json(folder / part / "config.json"))
    return outline


def _class_of(folder: Path, part: str) -> tuple[str, Any]:
    """The library and the class that `model_index.json` names."""
    library, name = read_json(folder / "model_index.json")[part]
    if library not in LIBRARIES:
        raise DataError(
            f"{folder} takes its {part} from {library}, which is not among {', '.join(LIBRARIES)}",
            hint="name a pipeline whose parts are classes of these",
        )
    return library, getattr(importlib.import_module(library), name)


def lay_out(module: nn.Module, device: str) -> None:
    """Let the weights of convolutions lie on a GPU as its kernels want them, channels last."""
    import torch

    if device.startswith("cuda"):
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # weights of other ranks stay


def forget_places(folder: Path) -> None:
    """Take the folder that a model was loaded from out of its JSON files, whose bytes then are the same everywhere."""
    for path in folder.rglob("*.json"):
        content = read_json(path)
        if isinstance(content, dict) and {"_name_or_path", "name_or_path"} & content.keys():
            write_json(path, {name: value for name, value in content.items() if not name.endswith("name_or_path")})


def to_tensor(pixels: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """uint8 (n, h, w, 3) -> float32 (n, 3, h, w) in [-1, 1]."""
    import torch

    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_bytes(tensor: Tensor) -> Tensor:
    """float (n, 3, h, w) in [-1, 1] -> uint8 (n, h, w, 3) on the same device; what is no number becomes 0."""
    import torch

    scaled = ((tensor.float() + 1) * 127.5).nan_to_num(0.0).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8).contiguous()


def to_pixels(tensor: Tensor) -> NDArray[np.uint8]:
    """The same on the host, as an array."""
    pixels: NDArray[np.uint8] = as_bytes(tensor).cpu().numpy()
    return pixels


def decode_latents(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Latents as the UNet sees them -> float (n, 3, h, w) in about [-1, 1]."""
    unscaled = latents / vae.config["scaling_factor"] + (vae.config["shift_factor"] or 0.0)
    return cast("Tensor", vae.decode(unscaled).sample)
