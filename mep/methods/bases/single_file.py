"""A published model as people share it, in one file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar, Literal

from mep.config import HashFile, LocalPath
from mep.diffusion.families import Family, family_of
from mep.diffusion.pipelines import Tokenizers, forget_places, tokenizers_in
from mep.errors import DataError
from mep.machine.hub import ModelReference
from mep.machine.libraries import prepare_libraries
from mep.machine.weights import check_whole, tensors_in
from mep.methods.bases import Base
from mep.methods.bases.pretrained import Pretrained, check_folder, check_parts, outline_in

if TYPE_CHECKING:
    from torch import nn

    from mep.artifacts import Images
    from mep.machine.work import Work

PATTERNS = ["model_index.json", "README.md", "LICENSE*", "*/*.json", "*/*.txt", "*/*.model"]
TYPES = {"StableDiffusionPipeline": ("v1", "v2"), "StableDiffusionXLPipeline": ("xl_base",)}
"""What diffusers calls the checkpoints of the families that it reads from one file."""


class SingleFile(Base):
    """Weights in one `.safetensors` file, such as ComfyUI and A1111 use, of a model whose pipeline lies elsewhere."""

    kind: Literal["single_file"]
    implies: ClassVar[dict[str, str]] = Pretrained.implies

    file: LocalPath
    """The file, relative to the recipe."""
    like: ModelReference
    """A pipeline of the same architecture, on the hub or in a folder: its configuration, tokenizers and scheduler are
    taken, and none of its weights."""

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {"file": hash_file(self.file)}

    def require(self) -> None:
        """DataError where the file is a pickle, cut short or of another family: told before anything runs."""
        if self.file.suffix == ".safetensors":
            check_whole(self.file, "training.base.file")
        self._check(check_parts(self.like.peek(PATTERNS), self.resolution).pipeline)

    def outline(self) -> tuple[Family, nn.Module]:
        return outline_in(self.like.peek(PATTERNS))

    def tokenizers(self) -> Tokenizers:
        return tokenizers_in(self.like.peek(PATTERNS))

    def build(self, images: Images, work: Work) -> dict[str, str]:
        prepare_libraries()
        import diffusers
        from diffusers.loaders.single_file_utils import SingleFileComponentError

        folder = self.like.folder(PATTERNS)
        family = family_of(folder)
        self._check(family.pipeline)
        try:
            pipeline = getattr(diffusers, family.pipeline).from_single_file(
                str(self.file), config=str(folder), local_files_only=True, **family.left_out
            )
        except (SingleFileComponentError, ValueError, KeyError, RuntimeError, OSError) as error:
            lacks = "meta tensor" in str(error)  # what a part was not given stays without data
            why = "it lacks weights of the model" if lacks else str(error).splitlines()[0]
            raise DataError(
                f"{self.file} cannot be read as a {family.pipeline} with the sizes of {folder}: {why}",
                hint="name a pipeline of the same architecture in training.base.like",
                field="training.base.like",
            ) from error
        shutil.rmtree(work.out / "pipeline", ignore_errors=True)
        pipeline.save_pretrained(work.out / "pipeline", safe_serialization=True)
        forget_places(work.out / "pipeline")
        check_folder(work.out / "pipeline", self.resolution)
        return {"file": self.file.name}

    def _check(self, pipeline: str) -> None:
        """DataError where the file is a pickle, or of another family than the pipeline."""
        prepare_libraries()
        from diffusers.loaders.single_file_utils import infer_diffusers_model_type

        if self.file.suffix != ".safetensors":
            raise DataError(
                f"{self.file} is no .safetensors: a pickle can run code, and mep reads none",
                hint="where you trust it, load it once with torch.load and save its tensors with safetensors",
                field="training.base.file",
            )
        if pipeline not in TYPES:
            raise DataError(
                f"a {pipeline} is not read from one file",
                hint=f"name one of {', '.join(TYPES)}",
                field="training.base.like",
            )
        found = infer_diffusers_model_type(tensors_in(self.file))
        if found not in TYPES[pipeline]:
            raise DataError(
                f"{self.file} holds a model of type {found}, which is no {pipeline}",
                hint="name a pipeline of the same architecture in training.base.like",
                field="training.base.like",
            )
