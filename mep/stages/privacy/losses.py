"""How well a model removes noise from images: what it has learned by heart it knows better than others of its kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Images, Model
from mep.diffusion.conditioner import FACTS, Beside
from mep.diffusion.cues import FOLDER as CONDITION
from mep.diffusion.cues import Cues
from mep.diffusion.denoiser import Denoiser
from mep.diffusion.encoding import Scaling
from mep.diffusion.families import Condition, family_of
from mep.diffusion.objective import denoising_errors, objective_of
from mep.diffusion.pipelines import load_pipeline, to_tensor
from mep.machine.shards import Shards
from mep.machine.work import Work
from mep.stages.generation.worker_job import DTYPES
from mep.stages.privacy.asked import Told

Losses = NDArray[np.float32]
"""Mean squared error of the prediction, float32 (n, levels): a row an image, a column a level of noise."""


@dataclass(frozen=True)
class Questions:
    """Images and the captions that they are shown with, and how often each is asked about.

    levels      of noise, evenly spaced over the schedule: the same time and the same noise for every image
    precision   arithmetic of the model
    """

    images: Images
    captions: Sequence[str]
    levels: int
    precision: Literal["fp32", "bf16", "fp16"]
    told: Told = None

    def inputs(self, model: Model | BaseModel) -> NDArray[Any] | None:
        """What its conditioner is told of each image, (n, ...); None where it has none, or not for all images: what one
        kind of images lacks is told of no other."""
        folder = model.pipeline.parent / CONDITION
        if self.told is None or not (folder / FACTS).is_file():
            return None
        cues = Cues.load(folder)
        if isinstance(self.told, np.ndarray):
            return None if cues.vectors is None else cues.vectors.told(self.told)
        rows = {kind: row for row, kind in enumerate(zip(cues.labels, cues.clusters.tolist(), strict=True))}
        numbers = [rows.get(kind) for kind in self.told]
        return None if None in numbers else cues.inputs(np.array(numbers, dtype=np.int64))

    def losses(self, name: str, model: Model | BaseModel, inputs: NDArray[Any] | None, work: Work) -> Losses:
        """What a model, or the base that it was trained from, answers when it is told `inputs`; in resumable shards."""
        loss = _loss_of(model, self, inputs, work)
        return Shards(work, name, range(len(self.images)), work.machine.batch_size).map(loss)


def _loss_of(
    model: Model | BaseModel, questions: Questions, inputs: NDArray[Any] | None, work: Work
) -> Callable[[Sequence[int]], Losses]:
    folder, scaling, side = model.pipeline, Scaling.of(model), model.resolution
    pipeline: Any = load_pipeline(folder, work.device)
    family, objective = family_of(folder), objective_of(pipeline.scheduler.config, None, False, None)
    texts = sorted(set(questions.captions))
    beside = Beside.load(folder.parent / CONDITION, work.device)
    with torch.inference_mode():
        said = {text: family.encode(pipeline, [text], side) for text in texts}
    denoiser = Denoiser(family, getattr(pipeline, family.core).to(getattr(torch, DTYPES[questions.precision]))).eval()
    levels = (torch.arange(questions.levels) + 0.5) / questions.levels
    generator = torch.Generator().manual_seed(work.seed_for("noise of the attack"))
    noises = torch.randn((questions.levels, 1, *scaling.shape), generator=generator)

    def condition(rows: Sequence[int]) -> Condition:
        each = [said[questions.captions[row]] for row in rows]
        captions = {name: torch.cat([one[name] for one in each]) for name in each[0]}
        if beside is None:
            return captions
        tokens = beside.nothing(len(rows)) if inputs is None else beside.tokens_of(inputs[list(rows)])
        return family.with_tokens(captions, tokens)

    @torch.inference_mode()
    def loss(rows: Sequence[int]) -> Losses:
        pixels = np.stack(list(work.map(lambda row: questions.images.read_square(row, side), rows)))
        clean = scaling(pipeline.vae.encode(to_tensor(pixels, work.device)).latent_dist.mean)
        captions, columns = condition(rows), []
        for level, noise in zip(levels, noises, strict=True):
            times = objective.times(level.expand(len(rows))).to(work.device)
            drawn = noise.to(work.device).expand_as(clean)
            predicted = denoiser(objective.add_noise(clean, drawn, times), times, captions)
            columns.append(denoising_errors(predicted, objective.target(clean, drawn, times)))
        return np.asarray(torch.stack(columns, 1).cpu(), dtype=np.float32)

    return loss
