"""From a finished training to the artifact."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mep.diffusion.pipelines import forget_places
from mep.machine.files import link_or_copy, read_json, write_json, write_text
from mep.stages.training.model_card import TrainingFacts, model_card

if TYPE_CHECKING:
    from mep.artifacts import BaseModel
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.ema import EMA
    from mep.diffusion.types import DDPMScheduler
    from mep.machine.work import Work
    from mep.stages.training.build import TrainingSetup
    from mep.stages.training.config import TrainingConfig
    from mep.stages.training.model import TrainingInputs


def publish(setup: TrainingSetup, model: tuple[Denoiser, EMA], inputs: TrainingInputs, log: Path, work: Work) -> None:
    """Write pipeline, raw weights, logs, samples and model card into `work.out`.

    model       the gathered module and the average of its weights
    """
    for name in ("pipeline", "raw", "lora"):
        shutil.rmtree(work.out / name, ignore_errors=True)
    config, method = setup.config, setup.config.method
    denoiser, ema = model
    replaced = [name for name, _ in denoiser.parts() if name in method.replaces]
    link_base(inputs.base, work.out / "pipeline", replaced)
    if config.ema_decay:
        method.save(denoiser, work.out / "raw")
    with ema.applied():
        method.save(denoiser, work.out)
    _write_scheduler(setup.model.noise_scheduler, config, work.out / "pipeline")
    shutil.copyfile(log, work.out / "losses.jsonl")
    setup.validation.publish()
    facts = TrainingFacts(
        steps=config.steps,
        images=len(inputs.training_set.ids),
        parameters=sum(parameter.numel() for parameter in denoiser.trained().values()),
        resolution=inputs.base.resolution,
        method=method.kind,
        averaged=bool(config.ema_decay),
    )
    write_json(work.out / "training.json", asdict(facts))
    write_text(work.out / "README.md", model_card(inputs.base, inputs.prompts, facts, work.lineage))


def link_base(base: BaseModel, target: Path, replaced: list[str]) -> None:
    """Link the pipeline of the base, without the parts that are replaced; linked files take no further space."""
    for path in sorted(base.pipeline.rglob("*")):
        relative = path.relative_to(base.pipeline)
        if path.is_file() and relative.parts[0] not in replaced:
            link_or_copy(path, target / relative)


def _write_scheduler(noise_scheduler: DDPMScheduler, config: TrainingConfig, folder: Path) -> None:
    """Store with the pipeline what its UNet predicts now, and on which schedule."""
    if config.prediction is None and not config.zero_terminal_snr:
        return
    from diffusers import DDIMScheduler

    shutil.rmtree(folder / "scheduler")  # links into the base, which stays as it is
    DDIMScheduler.from_config(noise_scheduler.config).save_pretrained(folder / "scheduler")
    forget_places(folder / "scheduler")
    index = read_json(folder / "model_index.json")
    (folder / "model_index.json").unlink()
    write_json(folder / "model_index.json", index | {"scheduler": ["diffusers", "DDIMScheduler"]})
