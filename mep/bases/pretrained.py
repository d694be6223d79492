"""A published latent diffusion model."""

import shutil
from typing import Literal

from mep.artifacts import Images
from mep.bases import Base
from mep.errors import DataError
from mep.hub import ModelReference
from mep.pipelines import forget_places, load_pipeline
from mep.stage import Work

PATTERNS = ["model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors", "*/*.model"]
PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


class Pretrained(ModelReference, Base):
    """Stable Diffusion 1.5, 2.1 or any model that StableDiffusionPipeline loads, from the hub or a folder.

    Only safetensors are read; the safety checker is left out.
    """

    kind: Literal["pretrained"]

    def build(self, images: Images, work: Work) -> None:
        folder = self.folder(PATTERNS)
        missing = [part for part in PARTS if not (folder / part).is_dir()]
        if missing:
            raise DataError(
                f"{folder} is no Stable Diffusion pipeline: it has no {', '.join(missing)}",
                hint="name a folder written by StableDiffusionPipeline.save_pretrained",
                field="training.base",
            )
        pipeline = load_pipeline(folder, "cpu")
        shutil.rmtree(work.out / "pipeline", ignore_errors=True)
        pipeline.save_pretrained(work.out / "pipeline", safe_serialization=True)
        forget_places(work.out / "pipeline")
