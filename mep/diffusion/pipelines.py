"""Loading a StableDiffusionPipeline, and the way pixels and captions enter it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.machine.files import read_json, write_json
from mep.machine.libraries import prepare_libraries

if TYPE_CHECKING:
    from torch import Tensor

    from mep.diffusion.types import AutoencoderKL, StableDiffusionPipeline

NO_CHECKER: dict[str, Any] = {
    "safety_checker": None,  # it judges photographs, not tissue
    "feature_extractor": None,
    "requires_safety_checker": False,
}
LIBRARIES = ("diffusers", "transformers", "mep.diffusion.patch_autoencoder")
"""Modules that parts of a pipeline may come from."""
LORA_FILE = "pytorch_lora_weights.safetensors"


def own_modules(folder: Path) -> list[str]:
    """Modules of mep that parts of a pipeline come from; whoever loads it with diffusers alone imports them first."""
    parts = read_json(folder / "model_index.json").values()
    return sorted({part[0] for part in parts if isinstance(part, list) and str(part[0]).startswith("mep.")})


def check_pipeline(folder: Path) -> None:
    """DataError where a folder does not hold a StableDiffusionPipeline, but another architecture or nothing."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise DataError(
            f"{folder} holds no model: it has no model_index.json",
            hint="name one that StableDiffusionPipeline.save_pretrained wrote; on several hosts, one that all share",
        )
    class_name = read_json(index).get("_class_name")
    if class_name != "StableDiffusionPipeline":
        raise DataError(
            f"{folder} holds a {class_name}, wanted a StableDiffusionPipeline",
            hint="Stable Diffusion 1.x and 2.x and models of their architecture can be used; others cannot",
        )


def load_pipeline(folder: Path, device: str, *, lora_scale: float = 1.0) -> StableDiffusionPipeline:
    """The diffusers pipeline in a folder, silent and on the device, in float32 and evaluation mode.

    lora_scale      how strongly the LoRA weights that lie in `lora/` beside the folder, if any, change the model
    """
    check_pipeline(folder)
    prepare_libraries()
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    for library in LIBRARIES:
        importlib.import_module(library)  # diffusers takes parts from modules that somebody else imported
    pipeline: StableDiffusionPipeline
    pipeline = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True, **NO_CHECKER)
    pipeline.set_progress_bar_config(disable=True)
    if (folder.parent / "lora" / LORA_FILE).exists() and lora_scale:
        pipeline.load_lora_weights(folder.parent / "lora", weight_name=LORA_FILE)
        pipeline.fuse_lora(lora_scale=lora_scale)
        pipeline.unload_lora_weights()
    for part in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
        part.eval()
    pipeline.to(device)
    return pipeline


def load_part(folder: Path, part: str, device: str, *, dtype: str = "float32") -> Any:
    """One part of a pipeline folder by the class that `model_index.json` names; models in evaluation mode."""
    prepare_libraries()
    import torch

    library, name = read_json(folder / "model_index.json")[part]
    if library not in LIBRARIES:
        raise DataError(
            f"{folder} takes its {part} from {library}, which is not among {', '.join(LIBRARIES)}",
            hint="name a pipeline whose parts are classes of these",
        )
    part_class = getattr(importlib.import_module(library), name)
    if not issubclass(part_class, torch.nn.Module):
        return part_class.from_pretrained(folder / part)
    precision = {"torch_dtype" if library == "diffusers" else "dtype": getattr(torch, dtype)}
    return part_class.from_pretrained(folder / part, use_safetensors=True, **precision).to(device).eval()


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


def to_pixels(tensor: Tensor) -> NDArray[np.uint8]:
    """float (n, 3, h, w) in [-1, 1] -> uint8 (n, h, w, 3)."""
    scaled = ((tensor.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def decode_latents(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Latents as the UNet sees them -> float (n, 3, h, w) in about [-1, 1]."""
    unscaled = latents / vae.config["scaling_factor"] + (vae.config["shift_factor"] or 0.0)
    return cast("Tensor", vae.decode(unscaled).sample)


def encode_prompts(pipeline: StableDiffusionPipeline, texts: list[str]) -> Tensor:
    """float32 (n, tokens, d): hidden states of captions, padded to the tokenizer's full length as in training of SD."""
    import torch

    length = pipeline.tokenizer.model_max_length
    tokens = pipeline.tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    with torch.inference_mode():
        return cast("Tensor", pipeline.text_encoder(tokens.input_ids.to(pipeline.text_encoder.device))[0].float())
