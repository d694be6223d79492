"""Drawing a batch: noise of every image from a seed of its own, one sampler, one decoder, one file."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.diffusion.cues import FOLDER as CONDITION
from mep.diffusion.families import Condition, family_of
from mep.diffusion.pipelines import as_bytes, decode_latents, load_pipeline, taken_out
from mep.errors import EnvironmentLacks
from mep.imaging.pixels import square
from mep.machine.graphs import compile_graphs
from mep.machine.jobs import Job
from mep.machine.transfer import Lane, Returned
from mep.methods.samplers import Sampler
from mep.stages.generation.schedule import Sample

BLACK = 8
"""An image whose brightest value is at most this (of 255) is black."""
CONSTANT = 2
"""An image whose channels each span at most this many grey levels shows nothing."""
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Types of torch."""
Form = Literal["png", "jpeg", "webp"]
DrawnBatch: TypeAlias = tuple[Sequence[Sample], Returned]
"""Samples; on their way from the device their pixels uint8 (b, h, w, 3), and whether all values of each were finite."""


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
    vectors         of a model that is conditioned on vectors: those that it was trained on, or their means
    compiled        whether the part that removes noise is compiled, where the device is a GPU
    graphs          folder of compiled graphs
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
    vectors: Literal["trained", "centroid"] = "trained"
    compiled: bool = False
    graphs: Path | None = None

    def prepare(self, device: str) -> Callable[[Sequence[Sample]], DrawnBatch]:
        import torch

        from mep.diffusion.conditioner import Beside

        if self.precision == "fp16" and device == "cpu":
            raise EnvironmentLacks("fp16 needs a GPU", hint="set generation.precision to bf16 or fp32")
        pipeline: Any = load_pipeline(self.pipeline, device, lora_scale=self.lora_scale)
        pipeline.scheduler = self.sampler.fitted(pipeline.scheduler.config)
        family, dtype = family_of(self.pipeline), DTYPES[self.precision]
        readers = taken_out(pipeline, [*family.encoders, *family.encoders.values()])  # captions stay in float32
        pipeline.to(getattr(torch, dtype))
        core = getattr(pipeline, family.core)
        if self.compiled:
            compile_graphs(core, device, self.graphs)
        if self.tiled:
            pipeline.vae.enable_tiling()
        beside = Beside.load(self.pipeline.parent / CONDITION, device, self.vectors)
        lane = Lane(device)
        side = self.side // pipeline.vae_scale_factor
        shape = (int(pipeline.vae.config["latent_channels"]), side, side)
        rescaled = {"guidance_rescale": self.guidance_rescale} if family.rescales else {}

        @cache
        def encoded(text: str) -> Condition:
            """A caption alone, so that its row does not depend on its neighbours; it stays on the device."""
            said = family.encode(readers, [text], self.side)
            return {name: values.to(getattr(torch, dtype)) for name, values in said.items()}

        def stacked(texts: Sequence[str]) -> Condition:
            rows = [encoded(text) for text in texts]
            return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

        def told(samples: Sequence[Sample]) -> tuple[Condition, Condition]:
            """What the model is told of the samples, and of as many of which it is told nothing."""
            captions, empty = stacked([sample.prompt.text for sample in samples]), stacked([""] * len(samples))
            if beside is None:
                return captions, empty
            tokens = beside.tokens([(sample.prompt, sample.seed) for sample in samples])
            return family.with_tokens(captions, tokens), family.with_tokens(empty, beside.nothing(len(samples)))

        @torch.inference_mode()
        def draw_batch(batch: Sequence[Sample]) -> DrawnBatch:
            filled = [*batch, *[batch[-1]] * (self.batch_size - len(batch))]
            generators = [torch.Generator().manual_seed(sample.seed) for sample in filled]
            noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
            latents = pipeline(
                **family.arguments(core, *told(filled)),
                **family.call,
                **rescaled,
                num_inference_steps=self.sampler.steps,
                guidance_scale=self.guidance,
                height=self.side,
                width=self.side,
                latents=lane.send({"noise": noise}).receive()["noise"].to(getattr(torch, dtype)),
                generator=generators,
                output_type="latent",
                **self.sampler.extras(),
            ).images
            decoded = torch.cat([decode_latents(pipeline.vae, part) for part in latents.split(self.decode_at_once)])
            decoded = decoded[: len(batch)]
            finite = torch.isfinite(decoded).flatten(1).all(1)
            return batch, lane.fetch({"pixels": as_bytes(decoded), "finite": finite})

        return draw_batch

    def finish(self, computed: DrawnBatch) -> list[DrawnSample]:
        batch, returned = computed
        arrays = returned.wait()  # here, on a thread: the device is at the next batch by now
        return [self._save(*image) for image in zip(batch, arrays["pixels"], arrays["finite"], strict=True)]

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
