"""Drawing a batch: noise of every image from a seed of its own, one sampler, one decoder, one file."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.diffusion.pipelines import decode_latents, encode_prompts, load_pipeline, to_pixels
from mep.errors import EnvironmentLacks
from mep.imaging.pixels import square
from mep.machine.jobs import Job
from mep.methods.samplers import Sampler
from mep.stages.generation.schedule import Sample

if TYPE_CHECKING:
    from torch import Tensor

BLACK = 8
"""An image whose brightest value is at most this (of 255) is black."""
CONSTANT = 2
"""An image whose channels each span at most this many grey levels shows nothing."""
Form = Literal["png", "jpeg", "webp"]
DrawnBatch: TypeAlias = tuple[Sequence[Sample], NDArray[np.uint8], NDArray[np.bool_]]
"""Samples, their pixels (b, h, w, 3), and whether all values of each were finite."""


@dataclass(frozen=True)
class DrawnSample:
    """What became of a sample: the bytes of its file, or why it is refused."""

    number: int
    content: bytes
    sha256: str
    refused: str = ""


@dataclass(frozen=True)
class DrawJob(Job[Sequence[Sample], list[DrawnSample]]):
    """Draws batches of samples with a pipeline that lies in a folder.

    saved_side      pixels of a side of the files; images are resized to it, bicubic with anti-aliasing
    batch_size      every batch is filled up to this many, so that an image never depends on how many were left
    decode_at_once  latents that the autoencoder decodes together
    """

    pipeline: Path
    sampler: Sampler
    guidance: float
    side: int
    saved_side: int
    batch_size: int
    guidance_rescale: float = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    tiled: bool = False
    decode_at_once: int = 8
    form: Form = "png"
    quality: int = 95
    lora_scale: float = 1.0

    def prepare(self, device: str) -> Callable[[Sequence[Sample]], DrawnBatch]:
        import torch

        if self.precision == "fp16" and device == "cpu":
            raise EnvironmentLacks("fp16 needs a GPU", hint="set generation.precision to bf16 or fp32")
        pipeline = load_pipeline(self.pipeline, device, lora_scale=self.lora_scale)
        pipeline.scheduler = self.sampler.fitted(pipeline.scheduler.config)
        empty = encode_prompts(pipeline, [""])
        if self.precision != "fp32":
            pipeline.to(torch.bfloat16 if self.precision == "bf16" else torch.float16)
        if self.tiled:
            pipeline.vae.enable_tiling()

        @cache
        def encoded(text: str) -> "Tensor":
            """A caption alone, so that its row does not depend on its neighbours."""
            return encode_prompts(pipeline, [text]) if text else empty

        @torch.inference_mode()
        def draw_batch(batch: Sequence[Sample]) -> DrawnBatch:
            filled = [*batch, *[batch[-1]] * (self.batch_size - len(batch))]
            latents = pipeline(
                prompt_embeds=torch.cat([encoded(sample.prompt.text) for sample in filled]),
                negative_prompt_embeds=empty.expand(len(filled), -1, -1),
                num_inference_steps=self.sampler.steps,
                guidance_scale=self.guidance,
                guidance_rescale=self.guidance_rescale,
                height=self.side,
                width=self.side,
                generator=[torch.Generator().manual_seed(sample.seed) for sample in filled],
                output_type="latent",
                **self.sampler.extras(),
            ).images
            decoded = torch.cat([decode_latents(pipeline.vae, part) for part in latents.split(self.decode_at_once)])
            decoded = decoded[: len(batch)]
            return batch, to_pixels(decoded), torch.isfinite(decoded).flatten(1).all(1).cpu().numpy()

        return draw_batch

    def finish(self, computed: DrawnBatch) -> list[DrawnSample]:
        return [self._save(*image) for image in zip(*computed, strict=True)]

    def _save(self, sample: Sample, pixels: NDArray[np.uint8], finite: bool) -> DrawnSample:
        if refused := fault_of(pixels) if finite else "not finite":
            return DrawnSample(sample.number, b"", "", refused)
        content = encode(square(pixels, self.saved_side), self.form, self.quality)
        return DrawnSample(sample.number, content, hashlib.sha256(content).hexdigest())


def fault_of(pixels: NDArray[np.uint8]) -> str:
    """Why an image (h, w, 3) cannot be used; empty where nothing is wrong with it."""
    if pixels.max() <= BLACK:
        return "black"
    return "constant" if np.ptp(pixels, axis=(0, 1)).max() <= CONSTANT else ""


def encode(pixels: NDArray[np.uint8], form: Form, quality: int) -> bytes:
    """A file of pixels (h, w, 3): PNG without loss, JPEG with full chroma resolution, or WebP."""
    from PIL import Image

    settings = {"png": {}, "jpeg": {"quality": quality, "subsampling": 0}, "webp": {"quality": quality, "method": 4}}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=form, **settings[form])
    return file.getvalue()
