"""Guidance: how strongly generation follows the captions, given or chosen on validation images."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag

from mep.artifacts import Guidance, Images, Model, Prompts, TrainingSet
from mep.config import Config, by_shape
from mep.errors import DataError
from mep.machine.shards import Shards
from mep.machine.work import Work
from mep.methods.extractors import Extractor
from mep.methods.extractors.random_conv import RandomConv
from mep.methods.samplers import Sampler
from mep.methods.scores.frechet import frechet_distance
from mep.methods.scores.kid import kernel_distance, kernel_distance_error
from mep.registry import OneOf
from mep.stage import stage
from mep.stages.generation.schedule import Sample, SamplePlan
from mep.stages.generation.worker_job import DrawJob, DrawnSample

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 3
"""Validation images without which there is no distance."""


Scale = Annotated[float, Field(ge=0, le=50)]


class GuidanceChoice(Config):
    """Guidance that is chosen among several by the distance of small generated sets to validation images."""

    choose: tuple[Scale, ...] = Field(min_length=2)
    """Scales to try."""
    by: Literal["kid", "frechet"] = "kid"
    """The distance; the least wins. kid is unbiased for few images."""
    images: int = Field(256, ge=8)
    """Images drawn at each scale, from the same noise, with prompts as frequent as among the validation images."""
    extractor: OneOf[Extractor] = RandomConv(kind="random_conv")
    """Features in which the sets are compared."""


class GuidanceConfig(Config):
    """The part of the section `generation` that this stage reads."""

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
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the UNet and the decoder. bf16 and fp16 are several times faster on a GPU; fp16 not on a CPU."""
    decoding: Literal["whole", "tiled"] = "whole"
    """Tiled decodes large images in overlapping tiles, with far less memory and slightly other pixels at the seams."""

    @property
    def scale(self) -> float:
        """The number, where one is given or has been put in the place of the choice."""
        assert isinstance(self.guidance, float)
        return self.guidance


@stage(version=1, section="generation", draws=True, repeats=True)
def guidance(
    config: GuidanceConfig, images: Images, training_set: TrainingSet, prompts: Prompts, model: Model, *, work: Work
) -> Guidance:
    """Take the scale that the recipe gives, or the one whose images are nearest to the validation images."""
    choice = config.guidance
    if not isinstance(choice, GuidanceChoice):
        return Guidance(choice, [])
    watched = images.select(training_set.validation.ids)
    if len(watched) < FEWEST:
        raise DataError(
            f"guidance is to be chosen on {len(watched)} validation images, and a distance takes {FEWEST}",
            hint="set more aside: dataset.validation; those of groups that are not trained on do not count",
            field="generation.guidance",
        )
    extract = choice.extractor.load(work.device)

    def read(rows: Sequence[int]) -> NDArray[np.float32]:
        return extract(np.stack(list(work.map(lambda row: watched.read_square(row, model.resolution), rows))))

    real = Shards(work, "validation", range(len(watched)), work.machine.batch_size).map(read)
    plan = SamplePlan(prompts.prompts, shares(prompts, watched.ids, choice.images), _seeds(work))
    samples = [plan.sample(number) for number in range(len(plan))]
    curve = [_try(scale, config, choice, model, samples, real, extract, work) for scale in sorted(set(choice.choose))]
    possible = [row for row in curve if row["value"] is not None]
    if not possible:
        raise DataError(
            "at every guidance nearly all images are black, constant or not finite",
            hint="the model has diverged: train it more gently",
            field="generation.guidance",
        )
    best = min(possible, key=lambda row: row["value"])  # of equals the weakest
    return Guidance(best["guidance"], curve)


def shares(prompts: Prompts, ids: Sequence[str], n: int) -> list[int]:
    """How many of n images each prompt gets: in proportion to the images with these ids, by largest remainder."""
    counted = Counter(prompts.of_image[image_id] for image_id in ids)
    exact = np.array([counted[row] for row in range(len(prompts.prompts))]) * n / len(ids)
    counts = np.floor(exact).astype(int)
    for row in np.argsort(counts - exact, kind="stable")[: n - counts.sum()]:
        counts[row] += 1
    return [int(count) for count in counts]


def _seeds(work: Work) -> Callable[..., int]:
    """Seeds of these samples: others than those of the dataset, the same at every scale."""
    return lambda *names: work.seed_for("guidance", *names)


def _try(
    scale: float,
    config: GuidanceConfig,
    choice: GuidanceChoice,
    model: Model,
    samples: Sequence[Sample],
    real: NDArray[np.float32],
    extract: Any,
    work: Work,
) -> dict[str, Any]:
    """One point of the curve: guidance, distance and its standard error, images drawn and refused."""
    job = DrawJob(
        pipeline=model.pipeline,
        sampler=config.sampler,
        guidance=scale,
        guidance_rescale=config.guidance_rescale,
        side=model.resolution,
        saved_side=model.resolution,
        batch_size=min(work.machine.generation_batch_size or work.machine.batch_size, len(samples)),
        precision=config.precision,
        tiled=config.decoding == "tiled",
        decode_at_once=work.machine.decode_batch_size,
        lora_scale=config.lora_scale,
    )

    def draw(part: Sequence[Sample]) -> NDArray[np.float32]:
        batches = [part[start : start + job.batch_size] for start in range(0, len(part), job.batch_size)]
        drawn = {one.number: one for _, drawings in work.map_unordered(job, batches) for one in drawings}
        kept = [drawn[sample.number] for sample in part if not drawn[sample.number].refused]
        rows = np.full((len(part), real.shape[1]), np.nan, dtype=np.float32)  # refused ones stay so
        if kept:
            found = [row for row, sample in enumerate(part) if not drawn[sample.number].refused]
            rows[found] = extract(np.stack([_pixels(one) for one in kept]))
        return rows

    size = job.batch_size * max(1, 64 // job.batch_size)
    rows = Shards(work, f"at-{scale:g}", samples, size).map(draw)
    fake = rows[np.isfinite(rows).all(axis=1)]
    row: dict[str, Any] = {"guidance": scale, "by": choice.by, "value": None, "se": None}
    if len(fake) >= FEWEST:
        pair = real.astype(np.float64), fake.astype(np.float64)
        row["value"] = float(kernel_distance(*pair) if choice.by == "kid" else frechet_distance(*pair))
        row["se"] = float(kernel_distance_error(*pair)) if choice.by == "kid" else None
    return row | {"n_real": len(real), "n_fake": len(fake), "refused": len(rows) - len(fake)}


def _pixels(sample: DrawnSample) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(sample.content)) as image:
        return np.asarray(image.convert("RGB"))
