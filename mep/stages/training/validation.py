"""Seeing a model train: the denoising loss on validation images, and samples from fixed noise.

Nothing here draws from what the training draws from: every image, noise and level has a seed of its own, so that a
watched run takes the same steps as an unwatched one, and arms are looked at under the same noise.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mep.diffusion.checkpoints import keep_lines
from mep.diffusion.objective import denoising_errors, target_of
from mep.diffusion.pipelines import load_part
from mep.machine.files import append_json_line, link_or_copy, read_json_lines, write_atomically
from mep.stages.training.previews import draw, grid, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mep.artifacts import BaseModel, Members, Prompts
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.ema import Average
    from mep.diffusion.encoding import Scaling
    from mep.diffusion.loop import Tracker
    from mep.machine.work import Work
    from mep.stages.training.batches import Posterior
    from mep.stages.training.config import WatchConfig

LEVELS = 4
"""Noise levels at which every validation image is looked at, one from each quarter of the schedule."""


class Watch:
    """Looks at the averaged weights a few times during a training."""

    def __init__(
        self,
        config: WatchConfig,
        steps: int,
        denoiser: Denoiser,
        average: Average,
        seen: Seen,
        trackers: Sequence[Tracker] = (),
    ):
        self.config, self.denoiser, self.average, self.seen, self.trackers = config, denoiser, average, seen, trackers
        self.at = {round(steps * look / config.looks) for look in range(1, config.looks + 1)} if config.looks else set()
        self.log = seen.work.folder / "validation.jsonl"
        self.folder = seen.work.folder / "looks"

    def rewind(self, done: int) -> None:
        keep_lines(self.log, lambda row: row["step"] <= done)

    def wants(self, done: int) -> bool:
        return done in self.at

    def look(self, done: int) -> None:
        self.denoiser.eval()
        with self.average.applied(), torch.inference_mode():
            row = self.seen.loss(self.denoiser)
            images = self.seen.samples(self.denoiser) if self.seen.shown else None
        self.denoiser.train()
        if row:
            append_json_line(self.log, {"step": done} | row)
            for tracker in self.trackers:
                tracker.write({"step": done, "validation_loss": row["loss"]})
        if images is not None:
            self._save(done, images)

    def _save(self, done: int, images: np.ndarray) -> None:
        from PIL import Image

        pixels = strip(list(images))
        write_atomically(self.folder / f"{done:09d}.png", lambda file: Image.fromarray(pixels).save(file, format="png"))

    def publish(self) -> None:
        """Log, strips and grid into the artifact."""
        from PIL import Image

        out = self.seen.work.out
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
            grid(strips, out / "looks.png")


class Seen:
    """What is looked at: validation images under fixed noise, and prompts with fixed noise to start from."""

    def __init__(
        self,
        config: WatchConfig,
        prompts: Prompts,
        validation: Members,
        posterior: Posterior,
        captions: Any,
        scaling: Scaling,
        noise_scheduler: Any,
        base: BaseModel,
        work: Work,
    ):
        self.config, self.work, self.base, self.noise_scheduler = config, work, base, noise_scheduler
        self.prompts, self.posterior, self.captions, self.scaling = prompts, posterior, captions, scaling
        chosen = work.rng("validation images").permutation(len(validation))[: config.images]
        self.members = [
            (validation.ids[row], validation.labels[row], int(validation.clusters[row])) for row in sorted(chosen)
        ]
        count = min(config.prompts, len(prompts.prompts))
        self.shown = [round(place) for place in np.linspace(0, len(prompts.prompts) - 1, count)] if count else []

    def loss(self, denoiser: Denoiser) -> dict[str, Any]:
        """Mean squared error of the prediction on validation images, of all and by label and cluster; {} without any.

        Unweighted, from the mean of each image's latents and LEVELS noises: comparable between arms and steps of one
        base and prediction type.
        """
        if not self.members:
            return {}
        groups: dict[str, dict[str, list[float]]] = {"labels": defaultdict(list), "clusters": defaultdict(list)}
        values = []
        for image_id, label, cluster in self.members:
            value = self._loss_of(denoiser, image_id)
            values.append(value)
            groups["clusters"][str(cluster)].append(value)
            if label is not None:
                groups["labels"][label].append(value)
        means = {
            name: {key: float(np.mean(found)) for key, found in sorted(parts.items())} for name, parts in groups.items()
        }
        return {"loss": float(np.mean(values)), "n": len(values)} | means

    def _loss_of(self, denoiser: Denoiser, image_id: str) -> float:
        generator = torch.Generator().manual_seed(self.work.seed_for("validation", image_id))
        device, scheduler = self.work.device, self.noise_scheduler
        mean, _ = self.posterior([image_id], np.zeros(1, dtype=np.int64))
        clean = self.scaling(mean).expand(LEVELS, -1, -1, -1)
        noise = torch.randn(clean.shape, generator=generator)
        level = (torch.arange(LEVELS) + torch.rand(LEVELS, generator=generator)) / LEVELS
        timesteps = (level * scheduler.config.num_train_timesteps).long()
        captions = self.captions(np.full(LEVELS, self.prompts.of_image[image_id]))
        clean, noise, timesteps, captions = (one.to(device) for one in (clean, noise, timesteps, captions))
        predicted = denoiser(scheduler.add_noise(clean, noise, timesteps), timesteps, captions)
        return float(denoising_errors(predicted, target_of(scheduler, clean, noise, timesteps)).mean())

    def samples(self, denoiser: Denoiser) -> np.ndarray:
        """uint8 (n, h, w, 3), one image for each prompt that is shown; column k starts from the same noise in every
        look and arm."""
        from diffusers import DPMSolverMultistepScheduler

        config, device = self.config, self.work.device
        scheduler = DPMSolverMultistepScheduler.from_config(
            self.noise_scheduler.config, algorithm_type="dpmsolver++", solver_order=2
        )
        noise = torch.stack([self._noise(column) for column in range(len(self.shown))]).to(device)
        vae = load_part(self.base.pipeline, "vae", device)  # not kept: it would be idle while training
        captions, empty = (self._states(denoiser, np.array(rows)) for rows in (self.shown, [len(self.prompts.prompts)]))
        return draw(denoiser.unet, vae, scheduler, captions, empty, noise, steps=config.steps, guidance=config.guidance)

    def _states(self, denoiser: Denoiser, rows: np.ndarray) -> Tensor:
        captions = self.captions(rows).to(self.work.device)
        states: Tensor = denoiser.text_encoder(captions)[0] if denoiser.text_encoder is not None else captions
        return states

    def _noise(self, column: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.work.seed_for("look", column))
        return torch.randn(self.scaling.shape, generator=generator)
