"""Guidance: how strongly generation follows the captions, given or chosen on validation images."""

import io
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Guidance, Images, Model, Prompts, TrainingSet
from mep.diffusion.families import Family
from mep.errors import DataError
from mep.machine.shards import Shards
from mep.machine.work import Work
from mep.methods.extractors import Features
from mep.methods.scores.frechet import frechet_distance
from mep.methods.scores.kid import kernel_distance, kernel_distance_error
from mep.sections.generation import GuidanceChoice, GuidanceConfig
from mep.stage import stage
from mep.stages.generation.schedule import Sample, SamplePlan
from mep.stages.generation.worker_job import DrawJob

FEWEST = 3
"""Validation images without which there is no distance."""


def check_family(config: GuidanceConfig, family: Family) -> None:
    """DataError where a family cannot draw as the recipe says."""
    if config.guidance_rescale and not family.rescales:
        raise DataError(
            f"{family.pipeline} knows no guidance_rescale",
            hint="take it out of the recipe, and guide less strongly instead",
            field="generation.guidance_rescale",
        )


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
    # the noise is the same at every scale, and not that of the dataset
    counts, seed_for = shares(prompts, watched.ids, choice.images), partial(work.seed_for, "guidance")
    plan = SamplePlan(prompts.prompts, counts, seed_for)
    samples = [plan.sample(number) for number in range(len(plan))]
    curve = []
    for scale in sorted(set(choice.choose)):
        job = guided_job(config, scale, model, work, len(samples))
        curve.append(_point(scale, choice.by, real, _drawn_features(job, samples, extract, real.shape[1], work)))
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
    n_images = Counter(prompts.of_image[image_id] for image_id in ids)
    exact = np.array([n_images[row] for row in range(len(prompts.prompts))]) * n / len(ids)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    return list(map(int, counts))


def guided_job(config: GuidanceConfig, scale: float, model: Model, work: Work, n: int) -> DrawJob:
    """The job of every worker: draw n samples of a model, saved as the model draws them."""
    return DrawJob(
        pipeline=model.pipeline,
        sampler=config.sampler,
        guidance=scale,
        guidance_rescale=config.guidance_rescale,
        side=model.resolution,
        saved_side=model.resolution,
        batch_size=min(work.machine.generation_batch_size or work.machine.batch_size, n),
        precision=config.precision,
        tiled=config.decoding == "tiled",
        decode_at_once=work.machine.decode_batch_size,
        lora_scale=config.lora_scale,
        vectors=config.vectors,
        compiled=work.machine.compile,
        graphs=work.cache_for("graphs"),
    )


def _drawn_features(
    job: DrawJob, samples: Sequence[Sample], extract: Features, width: int, work: Work
) -> NDArray[np.float32]:
    """float32 (n, width) features of the samples; not a number where one is refused."""
    from PIL import Image

    def draw(part: Sequence[Sample]) -> NDArray[np.float32]:
        batches = [part[start : start + job.batch_size] for start in range(0, len(part), job.batch_size)]
        drawn = {sample.number: sample for _, batch in work.map_unordered(job, batches) for sample in batch}
        kept = [row for row, sample in enumerate(part) if not drawn[sample.number].refused]
        images = [Image.open(io.BytesIO(drawn[part[row].number].content)).convert("RGB") for row in kept]
        features = np.full((len(part), width), np.nan, dtype=np.float32)
        if images:
            features[kept] = extract(np.stack([np.asarray(image) for image in images]))
        return features

    size = job.batch_size * max(1, 64 // job.batch_size)
    return Shards(work, f"at-{job.guidance:g}", samples, size).map(draw)


def _point(scale: float, by: str, real: NDArray[np.float32], drawn: NDArray[np.float32]) -> dict[str, Any]:
    """One point of the curve: guidance, distance and its standard error, images drawn and refused."""
    fake = drawn[np.isfinite(drawn).all(axis=1)]
    row: dict[str, Any] = {"guidance": scale, "by": by, "value": None, "se": None}
    if len(fake) >= FEWEST:
        pair = real.astype(np.float64), fake.astype(np.float64)
        row["value"] = float(kernel_distance(*pair) if by == "kid" else frechet_distance(*pair))
        row["se"] = float(kernel_distance_error(*pair)) if by == "kid" else None
    return row | {"n_real": len(real), "n_fake": len(fake), "refused": len(drawn) - len(fake)}
