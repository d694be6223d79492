"""The section `generation`: how many images of which prompt, and how they are drawn."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from mep.config import Config, by_shape
from mep.methods.allocations import Allocation
from mep.methods.extractors import Extractor
from mep.methods.extractors.efficientnet_lite0 import EfficientNetLite0
from mep.methods.samplers import Sampler
from mep.registry import OneOf

Scale = Annotated[float, Field(ge=0, le=50)]


class GuidanceChoice(Config):
    """Guidance that is chosen among several by the distance of small generated sets to validation images."""

    choose: tuple[Scale, ...] = Field(min_length=2)
    """Scales to try."""
    by: Literal["kid", "frechet"] = "kid"
    """The distance; the least wins. kid is unbiased for few images."""
    images: int = Field(256, ge=8, le=1_000_000_000)
    """Images drawn at each scale, from the same noise, with prompts as frequent as among the validation images."""
    extractor: OneOf[Extractor] = EfficientNetLite0(kind="efficientnet_lite0")
    """Features in which the sets are compared."""


class GuidanceConfig(Config):
    """The part of the section `generation` that the stage `guidance` reads."""

    later: ClassVar[tuple[str, ...]] = ("vectors",)
    sampler: OneOf[Sampler]
    guidance: Annotated[
        Annotated[Scale, Tag("plain")] | Annotated[GuidanceChoice, Tag("section")], Discriminator(by_shape)
    ] = 3.0
    """Scale of classifier-free guidance (Ho & Salimans 2022); 1 is none. Higher follows the caption more closely, with
    less variety. Or {choose: [1.5, 2, 3, 5, 7.5], by: kid}: the best on validation images."""
    guidance_rescale: float = Field(0.0, ge=0, le=1)
    """How far the contrast that strong guidance adds is taken back; 0.7 is usual, 0 is off (Lin et al. 2024,
    arXiv:2305.08891, 3.4)."""
    lora_scale: float = Field(1.0, ge=0, le=4)
    """How strongly LoRA weights change the model that they were trained on; without meaning for a model without."""
    vectors: Literal["trained", "centroid"] = "trained"
    """Where the model is conditioned on embeddings, the vector of every image: that of a training image of the prompt's
    label and cluster, by lot from the image's seed, of which the image is then a variation; or their mean. Without
    meaning for other models."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the model and the decoder. Default: bf16 where the base is pretrained, else fp32. bf16 and fp16 are
    several times faster on a GPU; fp16 not on a CPU."""
    decoding: Literal["whole", "tiled"] = "whole"
    """Tiled decodes large images in overlapping tiles, with far less memory and slightly other pixels at the seams."""

    def dump(self) -> dict[str, Any]:
        """The fields, and that captions stay in float32 in low precision, where once only the empty one did."""
        return super().dump() | ({} if self.precision == "fp32" else {"captions": "fp32"})


class GenerationConfig(GuidanceConfig):
    """How many images of which prompt, and how they are drawn."""

    allocation: OneOf[Allocation]
    """How many images for each prompt."""
    unseen_images: int = Field(0, ge=0, le=1_000_000_000)
    """Images for each pair of label and cluster that no training image shows, besides what the allocation gives."""
    size: Literal["model", "native"] | Annotated[int, Field(ge=8, le=8192)] = "model"
    """Side of the files: as the model draws; native, the median side of what is seen of real training images; or
    pixels. Resized bicubic with anti-aliasing."""
    format: Literal["png", "jpeg", "webp"] = "png"
    """PNG loses nothing. JPEG and WebP are smaller, and their artefacts are measured with the images."""
    quality: int = Field(95, ge=1, le=100)
    """Of JPEG and WebP."""
