"""The section `samples`: images, or a model, that were made elsewhere."""

from typing import Self

from pydantic import Field, model_validator

from mep.config import Config, HashFile, LocalPath, folder_digest
from mep.methods.sources import Source
from mep.registry import OneOf


class SamplesConfig(Config):
    """Synthetic images, or a model, that were made elsewhere. Such an arm is not trained; all else is as for others."""

    source: OneOf[Source] | None = None
    """Where the synthetic images lie. generation.allocation says how many are taken: the same in all arms."""
    prompt: str | None = None
    """Column with the prompt of each image: the id (stained_c03) or the text of a prompt of this arm."""
    label: str | None = None
    """Column with the label of each image, where there is no prompt. Default: dataset.label, if the source has it."""
    label_names: dict[str, str] = Field(default_factory=dict)
    """What the source calls a label -> what the dataset calls it."""
    pipeline: LocalPath | None = None
    """Folder of a StableDiffusionPipeline that was trained elsewhere; this arm draws from it."""
    lora: LocalPath | None = None
    """LoRA weights for the pipeline, or without one for training.base: a .safetensors file, or its folder."""
    resolution: int | None = Field(None, ge=8, le=4096)
    """Side in pixels that the pipeline draws. Default: the one that it was trained at, as its files say."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        has_model = self.pipeline is not None or self.lora is not None
        if (self.source is not None) == has_model:
            raise ValueError("give source (images), or pipeline or lora (a model)")
        if has_model and (self.prompt or self.label or self.label_names):
            raise ValueError("prompt, label and label_names are about a source: a pipeline draws this arm's prompts")
        if self.prompt and self.label:
            raise ValueError("give prompt or label: the label of an image is that of its prompt")
        if self.source is not None and self.resolution is not None:
            raise ValueError("resolution is about a pipeline: images have the size that they have")
        return self

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        paths = {"pipeline": self.pipeline, "lora": self.lora}
        return {name: folder_digest(path, hash_file) for name, path in paths.items() if path is not None}
