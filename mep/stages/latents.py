"""Latents: the autoencoder's view of every training image, computed once for all arms and epochs."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.artifacts import BaseModel, Images, Latents, TrainingSet, save_table
from mep.config import Config
from mep.pipelines import load_pipeline, to_tensor
from mep.pixels import SYMMETRIES, symmetry
from mep.stage import Work, stage


class LatentsConfig(Config):
    """The part of the section `training` that this stage reads."""

    symmetries: Literal["none", "mirror", "square"] = Field("none")
    """Augmentation: mirror left and right, or all eight symmetries of the square. Tissue has no up; a chest has a
    left."""


@stage(version=1, section="training")
def latents(
    config: LatentsConfig, images: Images, training_set: TrainingSet, base: BaseModel, *, work: Work
) -> Latents:
    """Encode every training image under every symmetry, as mean and standard deviation."""
    import torch

    chosen = images.select(training_set.ids)
    turns = SYMMETRIES[config.symmetries]
    size = base.resolution
    vae = load_pipeline(base.pipeline, work.device).vae

    def views(rows: Sequence[int]) -> NDArray[np.uint8]:
        pixels = np.stack([chosen.read_square(row, size) for row in rows])
        return np.concatenate([symmetry(pixels, turn) for turn in turns])

    @torch.inference_mode()
    def shard(rows: Sequence[int]) -> NDArray[np.float32]:
        n = max(1, work.batch_size // len(turns))
        found = []
        for stack in work.map(views, [rows[start : start + n] for start in range(0, len(rows), n)]):
            posterior = vae.encode(to_tensor(stack, work.device)).latent_dist
            both = torch.stack([posterior.mean, posterior.std], 1).float().cpu()
            found.append(both.unflatten(0, (len(turns), -1)).transpose(0, 1).numpy())
        return np.concatenate(found)

    both = work.in_shards("shards", range(len(chosen)), shard, size=256)
    np.save(work.out / "mean.npy", both[:, :, 0], allow_pickle=False)
    np.save(work.out / "std.npy", both[:, :, 1], allow_pickle=False)
    save_table(work.out / "ids.parquet", {"id": chosen.ids})
    return Latents(work.out)
