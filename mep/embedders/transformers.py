"""A vision model of the transformers library."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mep.embedders import Embed, Embedder
from mep.errors import DataError
from mep.hub import ModelReference
from mep.pipelines import prepare_libraries

PATTERNS = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]


class Transformers(ModelReference, Embedder):
    """A vision transformer such as DINO (Caron et al. 2021), with the image processor that belongs to it.

    The processor gets uint8 images, so that it scales them exactly once.
    """

    kind: Literal["transformers"]
    pooling: Literal["cls", "mean", "cls+mean"] = "cls"
    """Which tokens of the last hidden state make the vector. Osorio et al. 2024 use the class token of dino-vitb8."""

    def load(self, device: str) -> Embed:
        prepare_libraries()
        import torch
        from transformers import AutoImageProcessor, AutoModel

        folder = self.folder(PATTERNS)
        processor = AutoImageProcessor.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
        model = getattr(model, "vision_model", model).to(device).eval()

        @torch.inference_mode()
        def embed(batch: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
            inputs = processor(images=batch, return_tensors="pt")["pixel_values"].to(device)
            if float(inputs.std()) < 1e-2 and float(np.std(batch[0])) > 5:
                raise DataError(
                    "the image processor flattened the images: their contrast is gone before the model sees them",
                    hint="check do_rescale and rescale_factor in preprocessor_config.json",
                    field="embedding.model",
                )
            return np.asarray(_pool(model(inputs).last_hidden_state, self.pooling).float().cpu())

        return embed


def _pool(hidden: Any, pooling: str) -> Any:
    """(b, tokens, d) -> (b, d) or (b, 2 d)."""
    import torch

    cls, mean = hidden[:, 0], hidden[:, 1:].mean(1)
    return {"cls": cls, "mean": mean, "cls+mean": torch.cat([cls, mean], 1)}[pooling]
