"""Evaluating a model while it trains: the denoising loss on validation images, and samples from fixed noise.

Nothing here draws from what the training draws from: every image, noise and level has a seed of its own. A training
takes the same steps with and without evaluations, and all arms are evaluated under the same noise.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mep.diffusion.checkpoints import keep_lines
from mep.diffusion.ema import EMA
from mep.diffusion.loop import Callback
from mep.diffusion.objective import denoising_errors, target_of
from mep.diffusion.pipelines import load_part
from mep.machine.files import append_json_line, link_or_copy, read_json_lines, write_atomically
from mep.stages.training.previews import GuidedUnet, draw_previews, image_strip, save_strips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.loop import Tracker
    from mep.diffusion.types import DDPMScheduler
    from mep.machine.work import Work
    from mep.stages.training.batches import EncodedInputs
    from mep.stages.training.config import TrainingConfig, WatchConfig
    from mep.stages.training.model import TrainedModel, TrainingInputs

LEVELS = 4
"""Noise levels at which every validation image is evaluated, one from each quarter of the schedule."""


@dataclass
class Validation(Callback):
    """Evaluates the averaged weights a few times during a training."""

    config: TrainingConfig
    model: TrainedModel
    data: ValidationData
    trackers: Sequence[Tracker]

    def __post_init__(self) -> None:
        steps, n_evaluations = self.config.steps, self.config.watch.looks
        self.due = {round(steps * number / n_evaluations) for number in range(1, n_evaluations + 1)}
        self.log = self.data.work.folder / "validation.jsonl"
        self.folder = self.data.work.folder / "looks"

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
            loss = self.data.loss(denoiser)
            images = self.data.samples(denoiser) if self.data.shown else None
        denoiser.train()
        if loss is not None:
            append_json_line(self.log, {"step": done} | asdict(loss))
            for tracker in self.trackers:
                tracker.write({"step": done, "validation_loss": loss.loss})
        if images is not None:
            self._save(done, images)

    def _save(self, done: int, images: NDArray[np.uint8]) -> None:
        from PIL import Image

        pixels = image_strip(list(images))
        write_atomically(self.folder / f"{done:09d}.png", lambda file: Image.fromarray(pixels).save(file, format="png"))

    def publish(self) -> None:
        """Put the log and the samples of all evaluations into the artifact."""
        from PIL import Image

        out = self.data.work.out
        rows = read_json_lines(self.log)
        (out / "validation.jsonl").unlink(missing_ok=True)
        for row in rows:
            append_json_line(out / "validation.jsonl", row)
        strips = {}
        for path in sorted(self.folder.glob("*.png")):
            with Image.open(path) as image:
                strips[str(int(path.stem))] = np.asarray(image)
            link_or_copy(path, out / "looks" / path.name)
        if strips:
            save_strips(strips, out / "looks.png")


@dataclass(frozen=True)
class ValidationLoss:
    """Mean squared error of the prediction on n validation images: of all, by label and by cluster."""

    loss: float
    n: int
    labels: dict[str, float]
    clusters: dict[str, float]


@dataclass
class ValidationData:
    """What a model is evaluated on: validation images under fixed noise, and prompts with fixed noise to start from."""

    config: WatchConfig
    inputs: TrainingInputs
    encoded: EncodedInputs
    noise_scheduler: DDPMScheduler
    work: Work

    def __post_init__(self) -> None:
        self.members = self.inputs.training_set.validation
        self.rows = sorted(self.work.rng("validation images").permutation(len(self.members))[: self.config.images])
        n_prompts = len(self.encoded.prompts.prompts)
        count = min(self.config.prompts, n_prompts)
        self.shown = [round(place) for place in np.linspace(0, n_prompts - 1, count)] if count else []

    def loss(self, denoiser: Denoiser) -> ValidationLoss | None:
        """The loss on the validation images; None without any.

        Unweighted, from the mean of each image's latents and LEVELS noises: comparable between arms and steps of one
        base and prediction type.
        """
        if not self.rows:
            return None
        members, values = self.members, list[float]()
        by_label: dict[str, list[float]] = defaultdict(list)
        by_cluster: dict[str, list[float]] = defaultdict(list)
        for row in self.rows:
            values.append(self._loss_of(denoiser, members.ids[row]))
            by_cluster[str(int(members.clusters[row]))].append(values[-1])
            label = members.labels[row]
            if label is not None:
                by_label[label].append(values[-1])
        return ValidationLoss(float(np.mean(values)), len(values), _means(by_label), _means(by_cluster))

    def _loss_of(self, denoiser: Denoiser, image_id: str) -> float:
        generator = torch.Generator().manual_seed(self.work.seed_for("validation", image_id))
        device, scheduler = self.work.device, self.noise_scheduler
        mean, _ = self.encoded.posterior([image_id], np.zeros(1, dtype=np.int64))
        clean = self.encoded.scaling(mean).expand(LEVELS, -1, -1, -1)
        noise = torch.randn(clean.shape, generator=generator)
        level = (torch.arange(LEVELS) + torch.rand(LEVELS, generator=generator)) / LEVELS
        timesteps = (level * scheduler.config["num_train_timesteps"]).long()
        captions = self.encoded.captions(np.full(LEVELS, self.encoded.prompts.of_image[image_id]))
        clean, noise, timesteps, captions = (tensor.to(device) for tensor in (clean, noise, timesteps, captions))
        noisy = scheduler.add_noise(clean, noise, timesteps)  # type: ignore[arg-type]  # any integers will do
        predicted = denoiser(noisy, timesteps, captions)
        return float(denoising_errors(predicted, target_of(scheduler, clean, noise, timesteps)).mean())

    def samples(self, denoiser: Denoiser) -> NDArray[np.uint8]:
        """uint8 (n, h, w, 3), one image for each prompt that is shown; column k starts from the same noise in every
        evaluation and arm."""
        from diffusers import DPMSolverMultistepScheduler

        scheduler = DPMSolverMultistepScheduler.from_config(
            self.noise_scheduler.config, algorithm_type="dpmsolver++", solver_order=2
        )
        noise = torch.stack([self._noise(column) for column in range(len(self.shown))]).to(self.work.device)
        vae = load_part(self.inputs.base.pipeline, "vae", self.work.device)  # not kept: it would be idle while training
        empty = [len(self.encoded.prompts.prompts)]
        captions, empty_caption = (self._states(denoiser, rows) for rows in (self.shown, empty))
        unet = GuidedUnet(denoiser.unet, captions, empty_caption, self.config.guidance)
        return draw_previews(unet, vae, scheduler, noise, steps=self.config.steps)

    def _states(self, denoiser: Denoiser, rows: list[int]) -> Tensor:
        return denoiser.encode(self.encoded.captions(np.array(rows)).to(self.work.device))

    def _noise(self, column: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.work.seed_for("look", column))
        return torch.randn(self.encoded.scaling.shape, generator=generator)


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.mean(group)) for name, group in sorted(values.items())}
