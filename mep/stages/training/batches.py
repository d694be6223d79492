"""The batch of a step. Everything random in it is drawn from a seed that belongs to the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mep.artifacts import BaseModel, Embeddings, Images, Latents, Prompts, TrainingSet
from mep.diffusion.cues import NONE
from mep.diffusion.encoding import Captions, LatentEncoder, Scaling, caption_tokens, encoded_captions
from mep.diffusion.families import Condition
from mep.diffusion.image_order import ImageOrder
from mep.diffusion.latent_rows import Compact, Exact
from mep.diffusion.token_names import tokens_in
from mep.imaging.pixels import SYMMETRIES
from mep.machine.work import Work
from mep.sections.training import TrainingConfig
from mep.stages.training.image_cues import ImageCues

OPEN_SHARDS = 256
"""Files of latents that are open at once; many systems allow a process a thousand."""


@dataclass(frozen=True)
class TrainingInputs:
    """The artifacts that the stage reads."""

    images: Images
    training_set: TrainingSet
    prompts: Prompts
    base: BaseModel
    latents: Latents
    embeddings: Embeddings | None = None


@dataclass
class EncodedInputs:
    """Images and captions as the model sees them."""

    config: TrainingConfig
    inputs: TrainingInputs
    work: Work

    def __post_init__(self) -> None:
        images, base, latents = self.inputs.images, self.inputs.base, self.inputs.latents
        self.captions = self._captions()
        self.cues = ImageCues.of(self.config, self.inputs)
        self.scaling = Scaling.of(base)
        self.turns = SYMMETRIES[self.config.symmetries]
        self.read = self._from_cache if latents.cached else self._from_pixels
        if latents.cached:
            self.place_of = latents.places
            self.shard = lru_cache(OPEN_SHARDS)(latents.shard)
            is_compact = self.config.cache == "compact"
            self.rows = Compact(self.scaling.shape, self.turns) if is_compact else Exact()
        else:
            self.encoder = LatentEncoder(base, self.work.device)
            self.position = {image_id: row for row, image_id in enumerate(images.ids)}

    def _captions(self) -> Captions:
        """Those of the prompts come first, then the empty one, then the variants of the prompts."""
        prompts, base = self.inputs.prompts.prompts, self.inputs.base
        variants = (text for prompt in prompts for text in prompt.variants)
        texts = [*(prompt.text for prompt in prompts), "", *variants]
        self.new_tokens = tokens_in(texts) if self.config.method.learns else []
        if not self.config.reads_tokens:
            return encoded_captions(base, texts, self.work)
        return caption_tokens(base, texts, self.work.device, self.new_tokens)

    def condition(self, captions: NDArray[np.int64], cues: NDArray[np.int64]) -> Condition:
        """What captions and cues of those numbers tell the model, by name (b, ...) on the device."""
        told = {} if self.cues is None else {"cues": self.cues.inputs(cues).to(self.work.device)}
        return self.captions(captions) | told

    def posterior(self, ids: Sequence[str], turns: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, float32 (b, c, h, w), unscaled, of images under one symmetry each."""
        values = torch.from_numpy(np.stack(self.read(ids, turns)))
        return values[:, 0], values[:, 1]

    def _from_cache(self, ids: Sequence[str], turns: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        rows = [(*self.place_of(image_id), turn) for image_id, turn in zip(ids, turns, strict=True)]
        return [self.rows.unpack(self.shard(shard)[row], turn) for shard, row, turn in rows]

    def _from_pixels(self, ids: Sequence[str], turns: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        images, side = self.inputs.images, self.inputs.base.resolution
        pixels = self.work.map(lambda image_id: images.read_square(self.position[image_id], side), ids)
        pairs = zip(pixels, turns, strict=True)
        return [self.encoder.posterior(image, [self.turns[turn]])[0] for image, turn in pairs]


@dataclass(frozen=True)
class Batch:
    """What a step is computed from; every field but the table has one row an image.

    clean       float32 (b, c, h, w)    latents, scaled
    noise       float32 (b, c, h, w)    what is predicted, or enters it
    added       float32 (b, c, h, w)    what is added to the latents: the noise, perturbed where the recipe says so
    times       (b,)                    as the objective has them
    captions    int64 (b,)              rows of the table
    table       by name (n, ...)        captions, of which a batch has each but once
    cues        (b, ...)                what the model is told beside them, if anything
    """

    clean: Tensor
    noise: Tensor
    added: Tensor
    times: Tensor
    captions: Tensor
    table: Condition
    cues: Tensor | None = None

    def part(self, rows: slice) -> Batch:
        return Batch(**{name: values[rows] for name, values in self.rows().items()}, table=self.table)

    def rows(self) -> dict[str, Tensor]:
        return {name: values for name, values in vars(self).items() if name != "table" and values is not None}

    @property
    def condition(self) -> Condition:
        """What captions and cues tell of its images, by name (b, ...)."""
        told = {} if self.cues is None else {"cues": self.cues}
        return {name: values[self.captions] for name, values in self.table.items()} | told

    def __len__(self) -> int:
        return len(self.times)


@dataclass
class Batches:
    """Gives the batch of a step, or the share of one process in it."""

    encoded: EncodedInputs
    times: Callable[[Tensor], Tensor]
    """Levels of noise float32 (b,) in [0, 1) -> times of the objective."""

    def __post_init__(self) -> None:
        prompts, self.training_set = self.encoded.inputs.prompts, self.encoded.inputs.training_set
        self.prompt_rows = np.array([prompts.of_image[image_id] for image_id in self.training_set.ids])
        self.order = ImageOrder(self.encoded.work, self.training_set.weights)
        self.empty = len(prompts.prompts)
        self.texts = numbers_of(prompts)
        if self.encoded.cues:
            self.cue_rows = self.encoded.cues.rows(self.training_set.ids)

    def __call__(self, step: int, share: slice = slice(None)) -> Batch:
        """Every process draws the whole batch, so that all agree on it, and reads only its share."""
        encoded, config, work = self.encoded, self.encoded.config, self.encoded.work
        size = config.global_batch_size
        rows = self.order(step, size)
        rng = work.rng("step", step)
        turns = rng.integers(len(encoded.turns), size=size)
        dropped = rng.random(size) < config.caption_dropout
        generator = torch.Generator().manual_seed(work.seed_for("noise", step))
        shape = (size, *encoded.scaling.shape)
        spread, noise = (torch.randn(shape, generator=generator) for _ in range(2))
        level = torch.rand(size, generator=generator)
        if config.timesteps == "stratified":
            level = (torch.randperm(size, generator=generator) + level) / size
        if config.timesteps == "logit_normal":
            level = torch.special.ndtri(level).sigmoid()
        if config.noise_offset:
            noise = noise + config.noise_offset * torch.randn((*shape[:2], 1, 1), generator=generator)
        added = noise
        if config.input_perturbation:
            added = noise + config.input_perturbation * torch.randn(shape, generator=generator)
        mean, std = encoded.posterior([self.training_set.ids[row] for row in rows[share]], turns[share])
        shown = self.prompt_rows[rows]
        if self.texts.shape[1] > 1:
            shown = self.texts[shown, work.rng("variant", step).integers(self.texts.shape[1], size=size)]
        table, captions = encoded.captions.of(np.where(dropped, self.empty, shown)[share])
        clean, drawn = encoded.scaling(mean + std * spread[share]), noise[share]
        perturbed = drawn if added is noise else added[share]
        cues = None
        if encoded.cues is not None:
            cues = encoded.cues.inputs(np.where(dropped, NONE, self.cue_rows[rows])[share])
        return Batch(clean, drawn, perturbed, self.times(level)[share], captions, table, cues)


def numbers_of(prompts: Prompts) -> NDArray[np.int64]:
    """int64 (prompts, texts of each) numbers of the captions of every prompt, as `CaptionLookup` takes them."""
    n, n_variants = len(prompts.prompts), max((len(prompt.variants) for prompt in prompts.prompts), default=0)
    variants = n + 1 + np.arange(n * n_variants).reshape(n, n_variants)
    return np.column_stack([np.arange(n), variants])
