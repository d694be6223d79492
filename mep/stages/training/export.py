"""From a finished training to the artifact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mep.diffusion.pipelines import forget_places
from mep.machine.files import link_or_copy, read_json, write_json, write_text
from mep.stages.training.model_card import model_card

if TYPE_CHECKING:
    from mep.artifacts import BaseModel, Prompts, TrainingSet
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.ema import Average
    from mep.machine.work import Work
    from mep.stages.training.build import Parts
    from mep.stages.training.config import TrainingConfig


def publish(
    config: TrainingConfig,
    denoiser: Denoiser,
    average: Average,
    parts: Parts,
    log: Path,
    base: BaseModel,
    training_set: TrainingSet,
    prompts: Prompts,
    work: Work,
) -> None:
    """Write pipeline, raw weights, logs, looks and model card into `work.out`."""
    for name in ("pipeline", "raw", "lora"):
        shutil.rmtree(work.out / name, ignore_errors=True)
    method, trained = config.method, [name for name, _ in denoiser.named_children()]
    link_base(base, work.out / "pipeline", [name for name in trained if name in method.replaces])
    if config.ema_decay:
        method.save(denoiser, work.out / "raw")
    with average.applied():
        method.save(denoiser, work.out)
    _write_scheduler(parts.noise_scheduler, config, work.out / "pipeline")
    shutil.copyfile(log, work.out / "losses.jsonl")
    parts.watch.publish()
    facts = {
        "steps": config.steps,
        "images": len(training_set.ids),
        "parameters": sum(one.numel() for one in denoiser.trained().values()),
        "resolution": base.resolution,
        "method": method.kind,
        "averaged": bool(config.ema_decay),
    }
    write_json(work.out / "training.json", facts)
    write_text(work.out / "README.md", model_card(base, training_set, prompts, facts, work))


def link_base(base: BaseModel, target: Path, but: list[str]) -> None:
    """The pipeline of the base without some of its parts; its files have a second place there and cost nothing."""
    for path in sorted(base.pipeline.rglob("*")):
        relative = path.relative_to(base.pipeline)
        if path.is_file() and relative.parts[0] not in but:
            link_or_copy(path, target / relative)


def _write_scheduler(noise_scheduler: Any, config: TrainingConfig, folder: Path) -> None:
    """Tell whoever loads the pipeline what its UNet predicts now, and on which schedule."""
    if config.prediction is None and not config.zero_terminal_snr:
        return
    from diffusers import DDIMScheduler

    shutil.rmtree(folder / "scheduler")  # links into the base, which stays as it is
    DDIMScheduler.from_config(noise_scheduler.config).save_pretrained(folder / "scheduler")
    forget_places(folder / "scheduler")
    index = read_json(folder / "model_index.json")
    (folder / "model_index.json").unlink()
    write_json(folder / "model_index.json", index | {"scheduler": ["diffusers", "DDIMScheduler"]})
