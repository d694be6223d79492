"""Pixels to latents and captions to hidden states, each in a pass of its own, so that no value depends on a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Model
from mep.config import digest, folder_digest
from mep.diffusion.families import Condition, family_of, tokens_of
from mep.diffusion.pipelines import load_part, to_tensor, tokenizers_in
from mep.errors import DataError
from mep.imaging.pixels import symmetry
from mep.machine.array_cache import ArrayCache
from mep.machine.files import read_json, sha256_of, write_json
from mep.machine.work import Work

if TYPE_CHECKING:
    from torch import Tensor

    from mep.diffusion.types import AutoencoderKL

ON_DEVICE = 2**30
"""Bytes of captions that the device holds at most."""


@dataclass
class LatentEncoder:
    """The autoencoder of a base."""

    base: BaseModel
    device: str

    @cached_property
    def vae(self) -> AutoencoderKL:
        return cast("AutoencoderKL", load_part(self.base.pipeline, "vae", self.device))

    def posterior(self, pixels: NDArray[np.uint8], turns: Sequence[int]) -> NDArray[np.float32]:
        """Mean and standard deviation, float32 (s, 2, c, h, w), of an image (h, w, 3) under s symmetries."""
        import torch

        views = np.stack([symmetry(pixels, turn) for turn in turns])
        with torch.inference_mode():
            posterior = self.vae.encode(to_tensor(views, self.device)).latent_dist
            return cast(NDArray[np.float32], torch.stack([posterior.mean, posterior.std], 1).float().cpu().numpy())


@dataclass(frozen=True)
class Scaling:
    """From the autoencoder's latents to those that the UNet sees."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    scale: float
    shift: float

    @classmethod
    def of(cls, base: BaseModel | Model) -> Scaling:
        settings = read_json(base.pipeline / "vae" / "config.json")
        side = base.resolution // 2 ** (len(settings["block_out_channels"]) - 1)
        return cls(
            (int(settings["latent_channels"]), side, side),
            float(settings.get("scaling_factor", 0.18215)),  # of Stable Diffusion, and the default of diffusers
            float(settings.get("shift_factor") or 0.0),
        )

    def __call__(self, latents: Tensor) -> Tensor:
        return (latents - self.shift) * self.scale


def check_lengths(base: BaseModel, texts: Sequence[str], new_tokens: Sequence[str] = ()) -> None:
    """DataError where a caption has more tokens than a text encoder reads; a new token is one of them."""
    for longest, load in tokenizers_in(base.pipeline):
        tokenizer = load()
        tokenizer.add_tokens(list(new_tokens))
        for text in texts:
            n = len(tokenizer(text).input_ids)
            if n > longest:
                raise DataError(
                    f"the prompt {text!r} has {n} tokens, the text encoder reads {longest}",
                    hint="shorten the template or the names in it; the rest would be cut off without a word",
                    field="prompts.template",
                )


class Captions:
    """What captions say to the model, by their number, in tensors of a row each.

    There are some hundred of them: together they lie on the device, and a batch names their rows. Where they take over
    ON_DEVICE bytes, those of a batch are sent with it.
    """

    def __init__(self, read: Callable[[NDArray[np.int64]], Condition], n: int, device: str):
        self.read, self.device = read, device
        n_bytes = n * sum(rows.nbytes for rows in read(np.zeros(1, dtype=np.int64)).values())
        self.table = (
            {name: rows.to(device) for name, rows in read(np.arange(n)).items()} if n_bytes <= ON_DEVICE else {}
        )

    def of(self, numbers: NDArray[np.int64]) -> tuple[Condition, Tensor]:
        """A table of captions, and the rows int64 (b,) in it that have those numbers."""
        import torch

        if self.table:
            return self.table, torch.from_numpy(numbers)
        distinct, rows = np.unique(numbers, return_inverse=True)
        return self.read(distinct), torch.from_numpy(rows)

    def __call__(self, numbers: NDArray[np.int64]) -> Condition:
        """float32 (b, ...) on the device."""
        table, rows = self.of(numbers)
        return {name: values.to(self.device)[rows.to(self.device)] for name, values in table.items()}


def encoded_captions(base: BaseModel, texts: Sequence[str], work: Work) -> Captions:
    """Captions as frozen text encoders see them, kept on disk; each distinct one is computed once."""
    import torch

    family, device = family_of(base.pipeline), work.device
    readers = family.readers(base.pipeline)
    parts = [*readers, *readers.values()]
    check_lengths(base, texts)
    kept = {part: folder_digest(base.pipeline / part, sha256_of) for part in parts}
    settings = kept | {"family": family.pipeline, "side": str(base.resolution), "format": "2"}
    folder = work.cache_for("captions") / digest(settings)[:32]

    @cache
    def loaded() -> SimpleNamespace:
        absent = dict.fromkeys([*family.encoders, *family.encoders.values()])
        return SimpleNamespace(**absent | {part: load_part(base.pipeline, part, device) for part in parts})

    @torch.inference_mode()
    def encode(text: str) -> dict[str, NDArray[np.float32]]:
        said = family.encode(loaded(), [text], base.resolution)
        return {name: rows[0].cpu().numpy() for name, rows in sorted(said.items())}

    if not (folder / "layout.json").exists():
        write_json(folder / "layout.json", {name: list(row.shape) for name, row in encode("").items()})
    layout, arrays = read_json(folder / "layout.json"), ArrayCache(folder / "rows")
    ends = np.cumsum([int(np.prod(shape)) for shape in layout.values()])

    def compute(rows: Sequence[int]) -> NDArray[np.float32]:
        return np.stack([np.concatenate([one.ravel() for one in encode(texts[row]).values()]) for row in rows])

    keys = [digest(text) for text in texts]
    found = arrays.fill(keys, compute, work)
    places = [found[key] for key in keys]
    shards = {shard: arrays.read(shard) for shard in {place.shard for place in places}}

    def read(numbers: NDArray[np.int64]) -> Condition:
        rows = np.stack([shards[places[number].shard][places[number].row] for number in numbers])
        split = zip(layout.items(), np.split(rows, ends[:-1], axis=1), strict=True)
        return {name: torch.from_numpy(part.reshape(-1, *shape).copy()) for (name, shape), part in split}

    return Captions(read, len(texts), device)


def caption_tokens(base: BaseModel, texts: Sequence[str], device: str, new_tokens: Sequence[str] = ()) -> Captions:
    """Captions as token numbers, for a text encoder that is trained; those of new tokens follow the ones it knows."""
    import torch

    check_lengths(base, texts, new_tokens)
    (part,) = family_of(base.pipeline).encoders.values()
    tokenizer = load_part(base.pipeline, part, device)
    tokenizer.add_tokens(list(new_tokens))
    tokens = tokens_of(tokenizer, texts)
    return Captions(lambda numbers: {"tokens": tokens[torch.from_numpy(numbers)]}, len(texts), device)
