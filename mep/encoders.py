"""Pretrained vision models in two steps, for embedders and extractors alike: prepare images, then run the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mep.errors import DataError, EnvironmentLacks
from mep.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TRANSFORMERS_FILES = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
TIMM_FILES = ["config.json", "*.safetensors"]
"""What is fetched of a hub model: no pickles, no code."""

Pooling = Literal["cls", "mean", "cls+mean"]


@dataclass(frozen=True)
class Encoder:
    """A pretrained vision model.

    prepare     b images, each uint8 RGB (h, w, 3) of any size -> what the network takes; runs on the CPU
    forward     that -> float32 (b, d)
    """

    prepare: Callable[[Sequence[NDArray[np.uint8]]], Any]
    forward: Callable[[Any], NDArray[np.float32]]

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self.forward(self.prepare(images))


@contextmanager
def exact_arithmetic(device: str) -> Iterator[None]:
    """Full float32: no TF32, no autocast, no kernels picked by timing, so that a feature is the same in any batch."""
    import torch

    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        torch.autocast(torch.device(device).type, enabled=False),
    ):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def load_transformers(folder: Path, pooling: str, device: str) -> Encoder:
    """A vision model of the transformers library with the image processor that belongs to it.

    pooling     cls, mean, cls+mean: tokens of the last hidden state; projection: the image embedding of a CLIP

    DataError   the processor flattens the images, or a projection is asked of a model that has none
    """
    from mep.pipelines import prepare_libraries

    prepare_libraries()
    import torch
    from transformers import AutoImageProcessor, AutoModel

    processor = AutoImageProcessor.from_pretrained(folder)
    whole = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
    model = getattr(whole, "vision_model", whole).to(device).eval()
    project = getattr(whole, "visual_projection", None)
    if pooling == "projection":
        if project is None:
            raise DataError(f"the model in {folder} has no image projection", hint="choose pooling: cls or mean")
        project = project.to(device).eval()

    def prepare(images: Sequence[NDArray[np.uint8]]) -> Any:
        # The processor gets uint8 images, so that it scales them exactly once.
        pixels = processor(images=list(images), return_tensors="pt")["pixel_values"]
        if float(pixels.std()) < 1e-2 and float(np.std(images[0])) > 5:
            raise DataError(
                "the image processor flattened the images: their contrast is gone before the model sees them",
                hint="check do_rescale and rescale_factor in preprocessor_config.json",
                field="embedding.model",
            )
        return pixels

    def forward(pixels: Any) -> NDArray[np.float32]:
        with exact_arithmetic(device):
            found = model(pixels.to(device))
            if pooling == "projection" and project is not None:
                return np.asarray(project(found.pooler_output).float().cpu())
            return np.asarray(_pool(found.last_hidden_state, pooling).float().cpu())

    return Encoder(prepare, forward)


def _pool(hidden: Any, pooling: str) -> Any:
    """(b, tokens, d) -> (b, d) or (b, 2 d)."""
    import torch

    cls, mean = hidden[:, 0], hidden[:, 1:].mean(1)
    return {"cls": cls, "mean": mean, "cls+mean": torch.cat([cls, mean], 1)}[pooling]


def load_timm(folder: Path, device: str) -> Encoder:
    """A model of the timm library without its classifier: pooled features, with the transform that belongs to it.

    folder              config.json and model.safetensors, as timm saves to the hub

    EnvironmentLacks    timm is not installed
    DataError           the folder holds no weights as safetensors, or an architecture that timm does not know
    """
    from mep.torchvision_ops import declare_missing_operators

    declare_missing_operators()
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise EnvironmentLacks("this model needs timm", hint="pip install timm") from error
    import torch
    from PIL import Image

    if not any(folder.glob("*.safetensors")):
        raise DataError(f"{folder} holds no weights as safetensors", hint="convert them: pickles are not read")
    try:
        model = timm.create_model(f"local-dir:{folder.absolute()}", pretrained=True, num_classes=0)
    except Exception as error:  # an unknown architecture or weights of another one: timm raises what it comes upon
        raise DataError(f"timm cannot load {folder}: {type(error).__name__}: {str(error).splitlines()[0]}") from error
    model = model.to(device).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)

    def prepare(images: Sequence[NDArray[np.uint8]]) -> Any:
        return torch.stack([transform(Image.fromarray(pixels)) for pixels in images])

    def forward(pixels: Any) -> NDArray[np.float32]:
        with exact_arithmetic(device):
            return np.asarray(model(pixels.to(device)).float().cpu())

    return Encoder(prepare, forward)


def preprocessing_of(folder: Path) -> dict[str, str]:
    """How a model's own files say that images are resized and scaled: resize and preprocessing, in words."""
    path = folder / "preprocessor_config.json"
    if path.exists():
        known = read_json(path)
        size = known.get("crop_size") or known.get("size")
        return {
            "resize": f"image processor @{_short(size)}",
            "preprocessing": _scaled(known, "image_mean", "image_std"),
        }
    known = read_json(folder / "config.json").get("pretrained_cfg", {})
    size, way = known.get("input_size"), known.get("interpolation", "")
    return {"resize": f"timm transform {way} @{_short(size)}", "preprocessing": _scaled(known, "mean", "std")}


def _short(size: Any) -> str:
    if isinstance(size, dict):
        size = list(size.values())
    return "x".join(str(side) for side in size) if isinstance(size, list) else str(size)


def _scaled(known: dict[str, Any], mean: str, std: str) -> str:
    return f"mean {known.get(mean)}, std {known.get(std)}"
