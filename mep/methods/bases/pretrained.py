"""A published latent diffusion model."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from mep.diffusion.families import Family, family_of
from mep.diffusion.pipelines import Tokenizers, forget_places, load_pipeline, outline_of, tokenizers_in
from mep.errors import DataError
from mep.machine.files import read_json
from mep.machine.hub import ModelReference
from mep.machine.weights import check_folder_whole
from mep.methods.bases import Base

if TYPE_CHECKING:
    from torch import nn

    from mep.artifacts import Images
    from mep.machine.work import Work

FOLDERS = ["vae", "scheduler", "unet", "transformer"]
FOLDERS += ["text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3"]
"""Of the parts that one of the families has."""
PATTERNS = ["model_index.json", "README.md", "LICENSE*"] + [
    f"{part}/{name}" for part in FOLDERS for name in ("*.json", "*.txt", "*.model", "*.safetensors")
]
CONFIGURATION = [pattern for pattern in PATTERNS if pattern.endswith((".json", ".txt", ".model"))]
"""What says of which architecture a model is."""
VARIANTS = ["*.fp16.safetensors", "*.fp16-*.safetensors", "*.non_ema.safetensors", "*.non_ema-*.safetensors"]
"""Second copies of the weights that many repositories hold; they are not fetched."""
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
CONVERT = "where you trust it, convert it once: DiffusionPipeline.from_pretrained(old)"
CONVERT += ".save_pretrained(new, safe_serialization=True)"
FACTOR = 8
"""Pixels of a side that become one latent element in every published Stable Diffusion."""


class Pretrained(ModelReference, Base):
    """Stable Diffusion 1, 2, XL or 3, PixArt-Sigma, or any model that their pipelines load, from the hub or a folder.

    Only safetensors are read; the safety checker is left out.
    """

    kind: Literal["pretrained"]
    implies: ClassVar[dict[str, str]] = {"precision": "bf16", "cache": "compact"}

    @model_validator(mode="after")
    def _side_fits(self) -> Pretrained:
        if self.resolution % FACTOR:
            raise PydanticCustomError(
                "cross_field",
                "{size} pixels cannot be divided by the autoencoder's factor, {factor}",
                {"size": self.resolution, "factor": FACTOR, "field": "resolution"}
                | {"hint": f"take {round(self.resolution / FACTOR) * FACTOR or FACTOR}"},
            )
        return self

    def require(self) -> None:
        """Also DataError where the model is of no known family or lacks a part: told before anything runs."""
        super().require()
        if self.path is not None:
            check_folder(self.path, self.resolution)
        else:
            check_parts(self.peek(CONFIGURATION), self.resolution, called=self.id)

    def outline(self) -> tuple[Family, nn.Module]:
        return outline_in(self.peek(CONFIGURATION))

    def tokenizers(self) -> Tokenizers:
        return tokenizers_in(self.peek(CONFIGURATION))

    def build(self, images: Images, work: Work) -> dict[str, str]:
        folder = self.folder(PATTERNS, VARIANTS)
        check_folder(folder, self.resolution)
        pipeline = load_pipeline(folder, "cpu")
        shutil.rmtree(work.out / "pipeline", ignore_errors=True)
        pipeline.save_pretrained(work.out / "pipeline", safe_serialization=True)
        forget_places(work.out / "pipeline")
        for path in folder.glob("LICENSE*"):
            shutil.copyfile(path, work.out / "pipeline" / path.name)
        origin = {"license": license_of(folder)}
        return origin if self.id is None else origin | {"id": self.id, "revision": self.commit}


@cache
def outline_in(folder: Path) -> tuple[Family, nn.Module]:
    """The family of a pipeline's folder, and the part that removes noise without its weights."""
    family = family_of(folder)
    return family, outline_of(folder, family.core)


def check_folder(folder: Path, resolution: int) -> None:
    """DataError where a folder holds no pipeline of a known family in safetensors that takes images of a side."""
    family = check_parts(folder, resolution)
    for part in ["vae", family.core, *family.readers(folder)]:
        _check_weights(folder / part)


def check_parts(folder: Path, resolution: int, *, called: str | None = None) -> Family:
    """The family of a pipeline's folder, which may be without weights; DataError where a part is not there.

    called      what messages call it; default: the folder
    """
    called = called or str(folder)
    try:
        family = family_of(folder)
    except DataError as error:
        message = error.message.replace(str(folder), called)
        raise DataError(message, hint=error.hint, field="training.base") from error
    readers = family.readers(folder)
    models, tokenizers = ["vae", family.core, *readers], [*readers.values()]
    missing = [part for part in [*models, *tokenizers, "scheduler"] if not (folder / part).is_dir()]
    for part in tokenizers:
        if (folder / part).is_dir() and not any((folder / part).glob("*.json")):
            missing.append(f"{part} files (vocab.json and merges.txt, or tokenizer.json)")
    if missing:
        raise DataError(
            f"{called} is no whole {family.pipeline}: it has no {', '.join(missing)}",
            hint=f"name a model written by {family.pipeline}.save_pretrained",
            field="training.base",
        )
    factor = 2 ** (len(read_json(folder / "vae" / "config.json")["block_out_channels"]) - 1)
    if resolution % factor:
        raise DataError(
            f"{resolution} pixels cannot be divided by the autoencoder's factor, {factor}",
            hint=f"take a multiple of {factor}",
            field="training.base.resolution",
        )
    return family


def _check_weights(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        content = f"only {', '.join(pickles)}, a pickle, which can run code" if pickles else "no weights"
        raise DataError(
            f"{folder} holds {content}: mep reads safetensors",
            hint=CONVERT if pickles else "fetch the model again, or name another folder",
            field="training.base",
        )
    check_folder_whole(folder, "training.base")


def license_of(folder: Path) -> str:
    """The licence that a model card names in its front matter; empty where it names none."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    match = re.match(r"---\n.*?^license: *['\"]?([\w.-]+)", card.read_text("utf-8", errors="replace"), re.S | re.M)
    return match[1] if match else ""
