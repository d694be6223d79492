"""Models that put images and texts into one space, such as CLIP: how near is a text to an image?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.imaging.encoders import TRANSFORMERS_FILES, exact_arithmetic, unloadable

if TYPE_CHECKING:
    import torch

TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model")
"""Files of which a tokenizer has at least one."""
JOINT_FILES = [*TRANSFORMERS_FILES, *TOKENIZERS, "merges.txt", "tokenizer_config.json", "special_tokens_map.json"]


@dataclass(frozen=True)
class JointEncoder:
    """Both halves of a model such as CLIP (Radford et al. 2021); their cosine tells how well a text fits an image.

    images      b images, each uint8 RGB (h, w, 3) of any size -> float32 (b, d), of length 1
    texts       t texts -> float32 (t, d), of length 1; DataError where one has more tokens than the model reads
    """

    images: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]
    texts: Callable[[Sequence[str]], NDArray[np.float32]]


def parts_lacking(names: Sequence[str]) -> str:
    """What a folder of such files lacks to be a joint model of the transformers library; empty where it is whole."""
    wanted = {
        "config.json": "config.json" in names,
        "weights as safetensors": any(name.endswith(".safetensors") for name in names),
        "preprocessor_config.json": "preprocessor_config.json" in names,
        "a tokenizer": any(name in names for name in TOKENIZERS),
    }
    return ", ".join(part for part, is_there in wanted.items() if not is_there)


def load_joint(folder: Path, device: str) -> JointEncoder:
    """A CLIP, SigLIP or the like from a folder that the transformers library has saved; DataError: it is none."""
    from mep.machine.libraries import prepare_libraries

    prepare_libraries()
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    try:
        processor, tokenizer = AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModel.from_pretrained(folder, use_safetensors=True)
    except Exception as error:  # truncated weights, another model's, no tokenizer: it raises what it comes upon
        raise unloadable("transformers", folder, error, "preprocessor_config.json", "tokenizer.json") from error
    if not hasattr(model, "get_text_features"):
        raise DataError(
            f"the model in {folder} reads no texts: it is a {type(model).__name__}",
            hint="name one that has both halves, such as a CLIP",
        )
    model = model.to(device).eval()
    most = min(int(tokenizer.model_max_length), int(model.config.text_config.max_position_embeddings))
    # SigLIP was trained on captions of full length, padding included; CLIP stops at the end of the text.
    whole = {"padding": "max_length", "max_length": most}
    padding: dict[str, Any] = whole if "siglip" in str(model.config.model_type) else {"padding": True}

    def images(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        pixels = processor(images=list(pictures), return_tensors="pt")["pixel_values"].to(device)
        with exact_arithmetic(device):
            return _unit(model.get_image_features(pixel_values=pixels))

    def texts(written: Sequence[str]) -> NDArray[np.float32]:
        for text in written:
            if (n := len(tokenizer(text)["input_ids"])) > most:
                raise DataError(f"'{text}' has {n} tokens, the model reads {most}", hint="shorten it")
        tokens = tokenizer(list(written), **padding, return_tensors="pt").to(device)
        with exact_arithmetic(device):
            return _unit(model.get_text_features(**tokens))

    return JointEncoder(images, texts)


def _unit(output: Any) -> NDArray[np.float32]:
    """float32 (b, d) of length 1; version 5 of the library wraps the features, version 4 does not."""
    features: torch.Tensor = getattr(output, "pooler_output", output)
    return np.asarray((features / features.norm(dim=-1, keepdim=True)).float().cpu())
