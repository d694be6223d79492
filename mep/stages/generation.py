"""Generation: the synthetic dataset, image by image from a seed of its own."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from mep.allocations import Allocation
from mep.artifacts import Model, Prompts, Samples
from mep.config import Config
from mep.errors import DataError
from mep.files import sha256_of, write_atomically, write_text
from mep.pipelines import encode_prompts, load_pipeline
from mep.registry import OneOf
from mep.samplers import Sampler
from mep.stage import Work, stage


class GenerationConfig(Config):
    """How many images of which prompt, and how they are drawn."""

    allocation: OneOf[Allocation]
    """How many images for each prompt."""
    sampler: OneOf[Sampler]
    guidance: float = Field(3.0, ge=0, le=50)
    """Scale of classifier-free guidance (Ho & Salimans 2022); 1 is none. Higher follows the caption more closely, with
    less variety."""


@stage(version=1, draws=True, repeats=True)
def generation(config: GenerationConfig, prompts: Prompts, model: Model, *, work: Work) -> Samples:
    """Draw the synthetic dataset; only images that are missing are made."""
    listed = plan(config, prompts, work)
    pipeline = load_pipeline(model.pipeline, work.device)
    pipeline.scheduler = config.sampler.scheduler(pipeline.scheduler.config)
    captions = encode_prompts(pipeline, [prompt.text for prompt in prompts.prompts])
    no_caption = encode_prompts(pipeline, [""])
    batches = [listed[start : start + work.batch_size] for start in range(0, len(listed), work.batch_size)]
    for number, batch in enumerate(batches):
        # A batch is made whole or not at all, so that its images do not depend on where a run was interrupted.
        if not all((work.out / row["file_name"]).exists() for row in batch):
            work.stop_if_asked()
            _draw(config, pipeline, captions, no_caption, batch, model.resolution, work)
        work.progress.update(min((number + 1) * work.batch_size, len(listed)), len(listed))
    _write_metadata(work.out, listed, prompts)
    return Samples(work.out)


def plan(config: GenerationConfig, prompts: Prompts, work: Work) -> list[dict[str, Any]]:
    """Every sample with its prompt, ordinal, seed and file name; more images per prompt keep the earlier ones."""
    counts = config.allocation.counts(prompts.prompts)
    return [
        {
            "file_name": f"images/{prompt.id}/{ordinal:06d}.png",
            "prompt": row,
            "prompt_id": prompt.id,
            "ordinal": ordinal,
            "seed": work.seed_for(prompt.id, ordinal),
        }
        for row, (prompt, count) in enumerate(zip(prompts.prompts, counts, strict=True))
        for ordinal in range(count)
    ]


def _draw(
    config: GenerationConfig,
    pipeline: Any,
    captions: Any,
    no_caption: Any,
    batch: list[dict[str, Any]],
    side: int,
    work: Work,
) -> None:
    import torch
    from PIL import Image

    generators = [torch.Generator().manual_seed(row["seed"]) for row in batch]
    with torch.inference_mode():
        images = pipeline(
            prompt_embeds=captions[[row["prompt"] for row in batch]],
            negative_prompt_embeds=no_caption.expand(len(batch), -1, -1),
            num_inference_steps=config.sampler.steps,
            guidance_scale=config.guidance,
            height=side,
            width=side,
            generator=generators,
            output_type="np",
        ).images
    if not np.isfinite(images).all():
        raise DataError("the model draws values that are not finite", hint="it has diverged: train it more gently")
    for row, pixels in zip(batch, np.round(images * 255).astype(np.uint8), strict=True):
        write_atomically(work.out / row["file_name"], partial(Image.fromarray(pixels).save, format="png"))


def _write_metadata(folder: Path, listed: list[dict[str, Any]], prompts: Prompts) -> None:
    import json

    lines = []
    for row in listed:
        prompt = prompts.prompts[row["prompt"]]
        record = {"file_name": row["file_name"], "text": prompt.text, "label": prompt.label, "cluster": prompt.cluster}
        record |= {name: row[name] for name in ("prompt_id", "ordinal", "seed")}
        lines.append(json.dumps(record | {"sha256": sha256_of(folder / row["file_name"])}, ensure_ascii=False))
    write_text(folder / "metadata.jsonl", "\n".join(lines) + "\n")
