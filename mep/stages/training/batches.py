"""The batch of a step. Everything random in it is drawn from a seed that belongs to the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mep.diffusion.encoding import Captions, LatentEncoder, Scaling, tokenize
from mep.diffusion.loop import batch_rows
from mep.diffusion.pipelines import load_part
from mep.imaging.pixels import SYMMETRIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import BaseModel, Images, Prompts, TrainingSet
    from mep.machine.work import Work
    from mep.stages.training.config import TrainingConfig
    from mep.stages.training.model import TrainingInputs

Posterior: TypeAlias = Callable[[Sequence[str], "NDArray[np.int64]"], tuple[Tensor, Tensor]]
"""Image ids and the symmetry of each -> mean and standard deviation, float32 (b, c, h, w), unscaled."""
CaptionLookup: TypeAlias = Callable[["NDArray[np.int64]"], Tensor]
"""Numbers of captions -> hidden states, or tokens where the text encoder is trained. The captions of the prompts come
first, then the empty one, then the variants of the prompts."""


@dataclass(frozen=True)
class EncodedInputs:
    """Images and captions as the model sees them."""

    prompts: Prompts
    captions: CaptionLookup
    posterior: Posterior
    scaling: Scaling


def encode_inputs(config: TrainingConfig, inputs: TrainingInputs, work: Work) -> EncodedInputs:
    """Encode the captions, and find the latents of the images."""
    return EncodedInputs(
        inputs.prompts,
        captions_of(config, inputs.prompts, inputs.base, work),
        posterior_of(config, inputs, work),
        Scaling.of(inputs.base),
    )


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


@dataclass
class Batches:
    """Gives the batch of a step, or the share of one process in it."""

    config: TrainingConfig
    training_set: TrainingSet
    encoded: EncodedInputs
    work: Work

    def __post_init__(self) -> None:
        prompts = self.encoded.prompts
        self.prompt_rows = np.array([prompts.of_image[image_id] for image_id in self.training_set.ids])
        self.empty = len(prompts.prompts)
        self.texts = numbers_of(prompts)
        self.n_turns = len(SYMMETRIES[self.config.symmetries])

    def __call__(self, step: int, n_timesteps: int, share: slice = slice(None)) -> Batch:
        """Every process draws the whole batch, so that all agree on it, and reads only its share."""
        config, encoded, size = self.config, self.encoded, self.config.global_batch_size
        rows = batch_rows(self.work, step, size, self.training_set.weights)
        rng = self.work.rng("step", step)
        turns = rng.integers(self.n_turns, size=size)
        dropped = rng.random(size) < config.caption_dropout
        generator = torch.Generator().manual_seed(self.work.seed_for("noise", step))
        shape = (size, *encoded.scaling.shape)
        spread, noise = (torch.randn(shape, generator=generator) for _ in range(2))
        level = torch.rand(size, generator=generator)
        if config.timesteps == "stratified":
            level = (torch.randperm(size, generator=generator) + level) / size
        if config.noise_offset:
            noise = noise + config.noise_offset * torch.randn((*shape[:2], 1, 1), generator=generator)
        added = noise
        if config.input_perturbation:
            added = noise + config.input_perturbation * torch.randn(shape, generator=generator)
        mean, std = encoded.posterior([self.training_set.ids[row] for row in rows[share]], turns[share])
        shown = self.prompt_rows[rows]
        if self.texts.shape[1] > 1:
            shown = self.texts[shown, self.work.rng("variant", step).integers(self.texts.shape[1], size=size)]
        captions = encoded.captions(np.where(dropped, self.empty, shown)[share])
        clean = encoded.scaling(mean + std * spread[share])
        return Batch(clean, noise[share], added[share], (level * n_timesteps).long()[share], captions)


def posterior_of(config: TrainingConfig, inputs: TrainingInputs, work: Work) -> Posterior:
    """From the cached latents, or from the pixels where the recipe turns the cache off."""
    latents = inputs.latents
    if not latents.cached:
        return _from_pixels(config, inputs.images, inputs.base, work)
    index = latents.index
    places = dict(zip(index["id"], zip(index["shard"], index["row"], strict=True), strict=True))
    shards = {name: latents.shard(name) for name in set(index["shard"])}

    def read(ids: Sequence[str], turns: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        rows = [(*places[image_id], turn) for image_id, turn in zip(ids, turns, strict=True)]
        values = torch.from_numpy(np.stack([shards[shard][row, turn] for shard, row, turn in rows]))
        return values[:, 0], values[:, 1]

    return read


def _from_pixels(config: TrainingConfig, images: Images, base: BaseModel, work: Work) -> Posterior:
    encoder, numbers = LatentEncoder(base, work.device), SYMMETRIES[config.symmetries]
    position = {image_id: row for row, image_id in enumerate(images.ids)}

    def read(ids: Sequence[str], turns: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        pixels = work.map(lambda image_id: images.read_square(position[image_id], base.resolution), ids)
        posteriors = [encoder.posterior(image, [numbers[turn]])[0] for image, turn in zip(pixels, turns, strict=True)]
        values = torch.from_numpy(np.stack(posteriors))
        return values[:, 0], values[:, 1]

    return read


def numbers_of(prompts: Prompts) -> NDArray[np.int64]:
    """int64 (prompts, texts of each) numbers of the captions of every prompt, as `captions_of` has them."""
    n, n_variants = len(prompts.prompts), max((len(prompt.variants) for prompt in prompts.prompts), default=0)
    variants = n + 1 + np.arange(n * n_variants).reshape(n, n_variants)
    return np.column_stack([np.arange(n), variants])


def captions_of(config: TrainingConfig, prompts: Prompts, base: BaseModel, work: Work) -> CaptionLookup:
    """Hidden states of the captions, or tokens where the text encoder is trained with the rest."""
    variants = (text for prompt in prompts.prompts for text in prompt.variants)
    texts = [*(prompt.text for prompt in prompts.prompts), "", *variants]
    if config.text_encoder == "frozen":
        return Captions(base, texts, work)
    tokens = tokenize(load_part(base.pipeline, "tokenizer", work.device), texts)
    return lambda rows: tokens[torch.from_numpy(rows)]
