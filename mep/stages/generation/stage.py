"""Generation: the synthetic dataset, image by image from a seed of its own."""

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mep.artifacts import Clusters, Guidance, Images, Model, Prompt, Prompts, Samples
from mep.diffusion.families import family_of
from mep.errors import DataError
from mep.machine.files import read_json
from mep.machine.work import Work
from mep.sections.generation import GenerationConfig
from mep.stage import stage
from mep.stages.generation.contact_sheets import Sheets
from mep.stages.generation.progress import DRAWN, MISSING, GenerationProgress
from mep.stages.generation.schedule import SamplePlan
from mep.stages.generation.shares import counts_of
from mep.stages.generation.worker_job import DrawJob
from mep.stages.guidance import check_family, guided_job


@stage(version=2, draws=True, repeats=True, extendable_fields=("allocation", "unseen_images"))
def generation(  # noqa: PLR0913  (the parameters of a stage declare what it reads)
    config: GenerationConfig,
    images: Images,
    clusters: Clusters,
    prompts: Prompts,
    model: Model,
    guidance: Guidance,
    *,
    work: Work,
) -> Samples:
    """Draw the synthetic dataset; only images that are missing are made."""
    check_family(config, family_of(model.pipeline))
    config.sampler.check(read_json(model.pipeline / "scheduler" / "scheduler_config.json"))
    counts = counts_of(config.allocation, prompts.prompts, real_counts(prompts.prompts, images.train, clusters))
    unseen = prompts.unseen if config.unseen_images else []
    counts += [config.unseen_images] * len(unseen)
    plan = SamplePlan([*prompts.prompts, *unseen], counts, work.seed_for, config.format)
    if len(plan) == 0:
        raise DataError("no image is asked for: every prompt gets 0", field="generation.allocation")
    job = guided_job(config, guidance.scale, model, work, len(plan))
    job = saving_files(job, config, native_side(images.train))
    progress = GenerationProgress(plan, work.out, work.folder / "drawn.jsonl")
    progress.recover(work.map)
    for folder in work.earlier:
        progress.adopt(folder)
    _draw_missing(job, progress, work)
    if not (progress.state == DRAWN).any():
        raise DataError(
            f"all {len(plan)} images are refused ({', '.join(sorted(set(progress.refusals.values())))})",
            hint="the model has diverged: train it more gently, or generate with less guidance or in fp32",
        )
    facts = {"drawn_px": job.side, "saved_px": job.saved_side, "format": job.form, "guidance": job.guidance}
    progress.conclude(facts | {"sampler": config.sampler.dump(), "steps": config.sampler.steps})
    return Samples(work.out)


def real_counts(prompts: Sequence[Prompt], train: Images, clusters: Clusters) -> list[int]:
    """Real training images of each prompt's record before balancing; outliers, which have no cluster, left out."""
    cluster_of = dict(zip(clusters.ids, clusters.labels.tolist(), strict=True))
    records = Counter((train.label_of(row), cluster_of.get(image_id, -1)) for row, image_id in enumerate(train.ids))
    inliers = [(record, n) for record, n in records.items() if record[1] >= 0]
    return [
        sum(n for (label, cluster), n in inliers if prompt.label in (None, label) and prompt.cluster in (None, cluster))
        for prompt in prompts
    ]


def native_side(train: Images) -> int:
    """Median side of what is seen of the real images, in pixels."""
    return int(np.median(train.sides))


def saving_files(job: DrawJob, config: GenerationConfig, native_px: int) -> DrawJob:
    """The job with files of the side and format that the recipe asks for."""
    side = config.size if isinstance(config.size, int) else {"model": job.side, "native": native_px}[config.size]
    return replace(job, saved_side=side, form=config.format, quality=config.quality)


def _draw_missing(job: DrawJob, progress: GenerationProgress, work: Work) -> None:
    plan, sheets, numbers = progress.plan, Sheets(progress), progress.missing()
    # batches mix prompts; only the very last is shorter, and the job fills it up
    batches = iter(lambda: [plan.sample(number) for number in itertools.islice(numbers, job.batch_size)], [])
    began, n_before = 0.0, 0  # the speed is measured from the first batch on: weights are loaded before it
    for _, drawn in work.map_unordered(job, batches):
        progress.commit(drawn)
        sheets.update(drawn)
        done = int((progress.state != MISSING).sum())
        if not began:
            began, n_before = time.monotonic(), done
        note = f"{(done - n_before) / (time.monotonic() - began):.2f} images/s" if done > n_before else "begun"
        if progress.refusals:
            note += f", {len(progress.refusals)} refused"
        work.progress.update(done, len(plan), note)
    sheets.update(now=True)
