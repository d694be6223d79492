"""Pretrained vision models in two steps, for embedders and extractors alike: prepare images, then run the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np

from mep.errors import DataError, EnvironmentLacks
from mep.machine.devices import products
from mep.machine.files import read_json

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

TRANSFORMERS_FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
TIMM_FILES = ["config.json", "*.safetensors"]
"""What is fetched of a hub model: no pickles, no code."""

Dtype = Literal["float32", "bfloat16"]
Prepared: TypeAlias = Any
"""What a network takes: a tensor, or an array where the work is done when it is prepared."""


class Preprocessing(TypedDict, total=False):
    """How images reach a model, and what the self-test of the stage `embedding` saw of them."""

    mean: list[float] | None
    std: list[float] | None
    size: str
    interpolation: str | None
    dtype: str
    view: str
    seen_mean: float
    seen_std: float
    expected_std: float
    spread: float


@dataclass(frozen=True)
class Encoder:
    """A pretrained vision model.

    prepare     b images, each uint8 RGB (h, w, 3) of any size -> what the network takes; runs on the CPU
    forward     that -> float32 (b, d)
    """

    prepare: Callable[[Sequence[NDArray[np.uint8]]], Prepared]
    forward: Callable[[Prepared], NDArray[np.float32]]
    about: Preprocessing = field(default_factory=Preprocessing)

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self.forward(self.prepare(images))


@contextmanager
def exact_arithmetic(device: str) -> Iterator[None]:
    """Full float32: no TF32, no autocast, no kernels picked by timing, so that a feature is the same in any batch."""
    import torch

    autocast = torch.autocast(torch.device(device).type, enabled=False)
    with torch.inference_mode(), products(tf32=False, repeatable=True), autocast:
        yield


def load_transformers(folder: Path, pooling: str, device: str, dtype: Dtype = "float32") -> Encoder:
    """A vision model of the transformers library with the image processor that belongs to it.

    pooling     cls, mean, cls+mean: tokens of the last hidden state; projection: the image embedding of a CLIP

    DataError   the processor flattens the images, or a projection is asked of a model that has none
    """
    from mep.machine.libraries import prepare_libraries

    prepare_libraries()
    import torch
    from transformers import AutoImageProcessor, AutoModel

    try:
        processor = AutoImageProcessor.from_pretrained(folder)
        whole = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=getattr(torch, dtype))
    except Exception as error:  # truncated weights, those of another model, no processor: it raises what it comes upon
        raise unloadable("transformers", folder, error, "preprocessor_config.json") from error
    model = getattr(whole, "vision_model", whole).to(device).eval()
    project = getattr(whole, "visual_projection", None)
    if pooling == "projection":
        if project is None:
            raise DataError(f"the model in {folder} has no image projection", hint="choose pooling: cls or mean")
        project = project.to(device).eval()
    n_prefix = 1 + int(getattr(model.config, "num_register_tokens", 0) or 0)

    def prepare(images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        # The processor gets uint8 images, so that it scales them exactly once.
        pixels: torch.Tensor = processor(images=list(images), return_tensors="pt")["pixel_values"]
        if float(pixels.std()) < 1e-2 and float(np.std(images[0])) > 5:
            raise DataError(
                "the image processor flattened the images: their contrast is gone before the model sees them",
                hint="check do_rescale and rescale_factor in preprocessor_config.json",
                field="embedding.model",
            )
        return pixels

    def forward(pixels: torch.Tensor) -> NDArray[np.float32]:
        with exact_arithmetic(device):
            output = model(pixels.to(device, model.dtype))
            if pooling == "projection" and project is not None:
                return np.asarray(project(output.pooler_output).float().cpu())
            return _pool(output.last_hidden_state, pooling, n_prefix)

    return Encoder(prepare, forward, _processing(processor.to_dict()) | {"dtype": dtype})


def _processing(settings: dict[str, Any]) -> Preprocessing:
    """What an image processor of transformers does."""
    from PIL import Image

    given = (settings.get(name) for name in ("image_mean", "image_std"))
    mean, std = (None if values is None else [float(value) for value in np.atleast_1d(values)] for values in given)
    size = settings.get("crop_size") if settings.get("do_center_crop") else settings.get("size")
    resample = settings.get("resample")
    way = None if resample is None else Image.Resampling(resample).name.lower()
    return {"mean": mean, "std": std, "size": _short(size), "interpolation": way}


def _pool(hidden: torch.Tensor, pooling: str, n_prefix: int) -> NDArray[np.float32]:
    """(b, tokens, d) -> (b, d) or (b, 2 d); the class token and the registers (Darcet et al. 2024) are no patches."""
    import torch

    if hidden.ndim != 3:
        raise DataError(
            f"the model gives features of {hidden.ndim} dimensions, not tokens of an image",
            hint="choose a vision transformer, or {kind: timm}, which pools as the model does",
            field="embedding.model",
        )
    cls, mean = hidden[:, 0], hidden[:, n_prefix:].mean(1)
    pooled = {"cls": cls, "mean": mean, "cls+mean": torch.cat([cls, mean], 1)}[pooling]
    return np.asarray(pooled.float().cpu())


def load_timm(folder: Path, device: str, pooling: str = "model", dtype: Dtype = "float32") -> Encoder:
    """A model of the timm library without its classifier, with the transform that belongs to it.

    folder              config.json and model.safetensors, as timm saves to the hub
    pooling             model: as the model pools its features; cls, mean, cls+mean: tokens before that

    EnvironmentLacks    timm is not installed
    DataError           the folder holds no weights as safetensors, or an architecture that timm does not know
    """
    from mep.machine.libraries import declare_missing_operators

    declare_missing_operators()
    try:
        import timm
        from timm.data.config import resolve_model_data_config
        from timm.data.transforms_factory import create_transform
    except ImportError as error:
        raise EnvironmentLacks("this model needs timm", hint="pip install timm") from error
    if not any(folder.glob("*.safetensors")):
        raise DataError(f"{folder} holds no weights as safetensors", hint="convert them: pickles are not read")
    import torch
    from PIL import Image

    try:
        model: Any = timm.create_model(f"local-dir:{folder.absolute()}", pretrained=True, num_classes=0)
    except Exception as error:  # an unknown architecture or weights of another one: timm raises what it comes upon
        raise unloadable("timm", folder, error) from error
    model = model.to(device, getattr(torch, dtype)).eval()
    settings = resolve_model_data_config(model)
    transform = create_transform(**settings, is_training=False)
    n_prefix = int(getattr(model, "num_prefix_tokens", 0))
    if pooling not in ("model", "mean") and n_prefix == 0:
        raise DataError(f"the model in {folder} has no class token", hint="choose pooling: model or mean")

    def prepare(images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        return torch.stack([transform(Image.fromarray(pixels)) for pixels in images])

    def forward(pixels: torch.Tensor) -> NDArray[np.float32]:
        with exact_arithmetic(device):
            pixels = pixels.to(device, getattr(torch, dtype))
            if pooling == "model":
                return np.asarray(model(pixels).float().cpu())
            return _pool(model.forward_features(pixels), pooling, n_prefix)

    about = Preprocessing(mean=list(settings["mean"]), std=list(settings["std"]))
    size, way = _short(list(settings["input_size"][1:])), settings["interpolation"]
    return Encoder(prepare, forward, about | {"size": size, "interpolation": way, "dtype": dtype})


def unloadable(library: str, folder: Path, error: Exception, *more: str) -> DataError:
    """What is told where a library cannot load a folder; `more` are the files that belong to it beside the usual."""
    why, files = next(iter(str(error).splitlines()), "")[:200], ", ".join(["config.json", *more])
    return DataError(
        f"{library} cannot load {folder}: {type(error).__name__}: {why}",
        hint=f"name a whole folder of one model: {files} and model.safetensors",
    )


def preprocessing_of(folder: Path) -> dict[str, str]:
    """How a model's own files say that images are resized and scaled: resize and preprocessing, in words."""
    path, names = folder / "preprocessor_config.json", ("image_mean", "image_std")
    if path.exists():
        settings = read_json(path)
        way, size = "image processor", settings.get("crop_size") or settings.get("size")
    elif (folder / "config.json").exists():
        settings, names = read_json(folder / "config.json").get("pretrained_cfg", {}), ("mean", "std")
        way, size = f"timm transform {settings.get('interpolation', '')}", settings.get("input_size")
    else:
        raise DataError(f"{folder} holds no config.json", hint="name the folder of a model")
    mean, std = (settings.get(name) for name in names)
    return {"resize": f"{way} @{_short(size)}", "preprocessing": f"mean {mean}, std {std}"}


def _short(size: object) -> str:
    sides = list(size.values()) if isinstance(size, dict) else size
    return "x".join(map(str, sides)) if isinstance(sides, list) else str(sides)
