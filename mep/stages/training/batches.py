"""The batch of a step, everything random in it drawn from the step's own seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mep.diffusion.encoding import Captions, Encoder, Scaling, tokenize
from mep.diffusion.loop import batch_rows
from mep.diffusion.pipelines import load_part
from mep.imaging.pixels import SYMMETRIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import BaseModel, Images, Latents, Prompts, TrainingSet
    from mep.machine.work import Work
    from mep.stages.training.config import TrainingConfig

Posterior = Callable[[Sequence[str], "NDArray[np.int64]"], tuple[Tensor, Tensor]]
"""Image ids and the symmetry of each -> mean and standard deviation, float32 (b, c, h, w), unscaled."""


@dataclass(frozen=True)
class Batch:
    """What a step is computed from; every field has one row an image.

    clean       float32 (b, c, h, w)    latents, scaled
    noise       float32 (b, c, h, w)    what is predicted, or enters it
    added       float32 (b, c, h, w)    what is added to the latents: the noise, perturbed where the recipe says so
    timesteps   int64 (b,)
    captions    float32 (b, tokens, d), or int64 (b, tokens) where the text encoder is trained
    """

    clean: Tensor
    noise: Tensor
    added: Tensor
    timesteps: Tensor
    captions: Tensor

    def part(self, rows: slice, device: str) -> Batch:
        return Batch(*(getattr(self, name)[rows].to(device) for name in vars(self)))

    def __len__(self) -> int:
        return len(self.timesteps)


class Batches:
    """Gives the batch of a step, or the share of one process in it."""

    def __init__(
        self,
        config: TrainingConfig,
        training_set: TrainingSet,
        prompts: Prompts,
        posterior: Posterior,
        captions: Callable[[NDArray[np.int64]], Tensor],
        scaling: Scaling,
        work: Work,
    ):
        """captions: by the number of the prompt; then comes the empty caption, then the variants"""
        self.config, self.work, self.ids = config, work, training_set.ids
        self.weights, self.posterior, self.captions, self.scaling = training_set.weights, posterior, captions, scaling
        self.prompt_rows = np.array([prompts.of_image[image_id] for image_id in training_set.ids])
        self.empty = len(prompts.prompts)
        self.texts = numbers_of(prompts)
        self.n_turns = len(SYMMETRIES[config.symmetries])

    def __call__(self, step: int, n_timesteps: int, share: slice = slice(None)) -> Batch:
        """The whole batch is drawn whoever asks, so that processes that share it agree; only the share is read."""
        config, size = self.config, self.config.global_batch_size
        rows = batch_rows(self.work, step, size, self.weights)
        rng = self.work.rng("step", step)
        turns = rng.integers(self.n_turns, size=size)
        dropped = rng.random(size) < config.caption_dropout
        generator = torch.Generator().manual_seed(self.work.seed_for("noise", step))
        shape = (size, *self.scaling.shape)
        spread, noise = (torch.randn(shape, generator=generator) for _ in range(2))
        level = torch.rand(size, generator=generator)
        if config.timesteps == "stratified":
            level = (torch.randperm(size, generator=generator) + level) / size
        if config.noise_offset:
            noise = noise + config.noise_offset * torch.randn((*shape[:2], 1, 1), generator=generator)
        added = noise
        if config.input_perturbation:
            added = noise + config.input_perturbation * torch.randn(shape, generator=generator)
        mean, std = self.posterior([self.ids[row] for row in rows[share]], turns[share])
        shown = self.prompt_rows[rows]
        if self.texts.shape[1] > 1:
            shown = self.texts[shown, self.work.rng("variant", step).integers(self.texts.shape[1], size=size)]
        captions = self.captions(np.where(dropped, self.empty, shown)[share])
        clean = self.scaling(mean + std * spread[share])
        return Batch(clean, noise[share], added[share], (level * n_timesteps).long()[share], captions)


def posterior_of(config: TrainingConfig, images: Images, base: BaseModel, latents: Latents, work: Work) -> Posterior:
    """From the cached latents, or from the pixels where the recipe turns the cache off."""
    if not latents.cached:
        return _from_pixels(config, images, base, work)
    index = latents.index
    places = dict(zip(index["id"], zip(index["shard"], index["row"], strict=True), strict=True))
    shards = {name: latents.shard(name) for name in set(index["shard"])}

    def read(ids: Sequence[str], turns: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        found = [
            shards[places[image_id][0]][places[image_id][1], turn] for image_id, turn in zip(ids, turns, strict=True)
        ]
        both = torch.from_numpy(np.stack(found))
        return both[:, 0], both[:, 1]

    return read


def _from_pixels(config: TrainingConfig, images: Images, base: BaseModel, work: Work) -> Posterior:
    encoder, numbers = Encoder(base, work), SYMMETRIES[config.symmetries]
    position = {image_id: row for row, image_id in enumerate(images.ids)}

    def read(ids: Sequence[str], turns: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        pixels = work.map(lambda image_id: images.read_square(position[image_id], base.resolution), ids)
        found = [encoder.posterior(one, [numbers[turn]])[0] for one, turn in zip(pixels, turns, strict=True)]
        both = torch.from_numpy(np.stack(found))
        return both[:, 0], both[:, 1]

    return read


def numbers_of(prompts: Prompts) -> NDArray[np.int64]:
    """int64 (prompts, texts of each) numbers of the captions of every prompt, as `captions_of` has them."""
    n, n_variants = len(prompts.prompts), max((len(prompt.variants) for prompt in prompts.prompts), default=0)
    variants = n + 1 + np.arange(n * n_variants).reshape(n, n_variants)
    return np.column_stack([np.arange(n), variants])


def captions_of(config: TrainingConfig, prompts: Prompts, base: BaseModel, work: Work) -> Any:
    """Captions by number, of prompts, then the empty one, then of variants: hidden states, or tokens where the text
    encoder is trained with the rest."""
    variants = (text for prompt in prompts.prompts for text in prompt.variants)
    texts = [*(prompt.text for prompt in prompts.prompts), "", *variants]
    if config.text_encoder == "frozen":
        return Captions(base, texts, work)
    tokens = tokenize(load_part(base.pipeline, "tokenizer", work.device), texts)
    return lambda rows: tokens[torch.from_numpy(rows)]
