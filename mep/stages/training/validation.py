"""Evaluating a model while it trains, by losses and samples from noise that has seeds of its own in all arms."""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mep.diffusion.checkpoints import keep_lines
from mep.diffusion.cues import NONE
from mep.diffusion.denoiser import EMA, Denoiser
from mep.diffusion.loop import Callback, Tracker
from mep.diffusion.objective import denoising_errors
from mep.diffusion.pipelines import load_part
from mep.machine.files import append_json_line, link_or_copy, write_atomically
from mep.methods.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.stages.training.batches import EncodedInputs
from mep.stages.training.model import TrainedModel
from mep.stages.training.previews import Guided, draw_previews, image_strip, save_strips

LEVELS = 4
"""Noise levels at which every validation image is evaluated, one from each quarter of the schedule."""


@dataclass
class Validation(Callback):
    """Evaluates the averaged weights a few times during a training."""

    encoded: EncodedInputs
    model: TrainedModel
    trackers: Sequence[Tracker]

    def __post_init__(self) -> None:
        self.work, self.watch = self.encoded.work, self.encoded.config.watch
        steps, n_evaluations = self.encoded.config.steps, self.watch.looks
        self.due = {round(steps * number / n_evaluations) for number in range(1, n_evaluations + 1)}
        self.log = self.work.folder / "validation.jsonl"
        self.folder = self.work.folder / "looks"
        self.members = self.encoded.inputs.training_set.validation
        self.rows = sorted(self.work.rng("validation images").permutation(len(self.members))[: self.watch.images])
        n_prompts = len(self.encoded.inputs.prompts.prompts)
        self.shown = [round(row) for row in np.linspace(0, n_prompts - 1, min(self.watch.prompts, n_prompts))]

    def rewind(self, done: int) -> None:
        keep_lines(self.log, lambda row: row["step"] <= done)

    def is_due(self, done: int) -> bool:
        return done in self.due

    def evaluate(self, done: int) -> None:
        gathered = self.model.gathered()
        if gathered is None:
            return  # the main process evaluates
        denoiser, ema = gathered
        if self.model.group.sharded:
            ema.keep()  # before the model goes to the device, which then need not hold both
            denoiser, ema = denoiser.to(self.model.group.device), EMA([], 0.0)
        denoiser.eval()
        with ema.applied(), torch.inference_mode():
            on_device = [self._loss(denoiser, self.members.ids[row]) for row in self.rows]
            losses = torch.stack(on_device).tolist() if on_device else []
            images = self._samples(denoiser) if self.shown else None
        denoiser.train()
        if losses:
            self._write_losses(done, losses)
        if images is not None:
            strip = image_strip(images)
            write_atomically(self.folder / f"{done:09d}.png", lambda file: strip.save(file, format="png"))

    def _write_losses(self, done: int, losses: list[float]) -> None:
        labels = (self.members.labels[row] for row in self.rows)
        clusters = (str(int(self.members.clusters[row])) for row in self.rows)
        loss = float(np.mean(losses))
        row = {"step": done, "loss": loss, "n": len(losses)}
        append_json_line(self.log, row | {"labels": _means(labels, losses), "clusters": _means(clusters, losses)})
        for tracker in self.trackers:
            tracker({"step": done, "validation_loss": loss})

    def publish(self) -> None:
        """Put the log and the samples of all evaluations into the artifact."""
        if self.log.exists():
            shutil.copyfile(self.log, self.work.out / "validation.jsonl")
        paths = sorted(self.folder.glob("*.png"))
        for path in paths:
            link_or_copy(path, self.work.out / "looks" / path.name)
        if paths:
            save_strips(paths, self.work.out / "looks.png")

    def _loss(self, denoiser: Denoiser, image_id: str) -> Tensor:
        """Unweighted mean squared error of the prediction for the mean of an image's latents under LEVELS noises."""
        generator = torch.Generator().manual_seed(self.work.seed_for("validation", image_id))
        encoded, objective = self.encoded, self.model.objective
        mean, _ = encoded.posterior([image_id], np.zeros(1, dtype=np.int64))
        clean = encoded.scaling(mean).expand(LEVELS, -1, -1, -1)
        noise = torch.randn(clean.shape, generator=generator)
        level = (torch.arange(LEVELS) + torch.rand(LEVELS, generator=generator)) / LEVELS
        caption = encoded.inputs.prompts.of_image[image_id]
        cue = encoded.cues.rows([image_id])[0] if encoded.cues else NONE
        condition = encoded.condition(np.full(LEVELS, caption), np.full(LEVELS, cue))
        clean, noise, times = (tensor.to(self.work.device) for tensor in (clean, noise, objective.times(level)))
        predicted = denoiser(objective.add_noise(clean, noise, times), times, condition)
        return denoising_errors(predicted, objective.target(clean, noise, times)).mean()

    def _samples(self, denoiser: Denoiser) -> NDArray[np.uint8]:
        """uint8 (n, h, w, 3), an image for each prompt that is shown; all evaluations and arms share its noise."""
        encoded, device = self.encoded, self.work.device
        sampler = DpmSolverPlusPlus(kind="dpmsolver++", steps=self.watch.steps)
        scheduler = sampler.fitted(self.model.objective.scheduler_config)
        seeds = [self.work.seed_for("look", column) for column in range(len(self.shown))]
        shape, generator = encoded.scaling.shape, torch.Generator()
        noise = torch.stack([torch.randn(shape, generator=generator.manual_seed(seed)) for seed in seeds]).to(device)
        vae = load_part(encoded.inputs.base.pipeline, "vae", device)  # not kept: it would be idle while training
        prompts = encoded.inputs.prompts.prompts
        shown = [prompts[row] for row in self.shown]
        cues = encoded.cues.picked(shown, seeds) if encoded.cues else np.full(len(shown), NONE)
        captions = denoiser.encode(encoded.condition(np.array(self.shown), cues))
        empty = denoiser.encode(encoded.condition(np.array([len(prompts)]), np.array([NONE])))
        guided = Guided(denoiser, captions, empty, self.watch.guidance)
        return draw_previews(guided, vae, scheduler, noise, steps=self.watch.steps)


def _means(names: Iterable[str | None], losses: list[float]) -> dict[str, float]:
    groups: dict[str, list[float]] = defaultdict(list)
    for name, loss in zip(names, losses, strict=True):
        if name is not None:
            groups[name].append(loss)
    return {name: float(np.mean(group)) for name, group in sorted(groups.items())}
