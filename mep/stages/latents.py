"""Latents: the autoencoder's view of every training image, computed once for all arms, runs and epochs."""

from collections.abc import Sequence

import numpy as np

from mep.artifacts import BaseModel, Images, Latents, TrainingSet
from mep.artifacts.base import save_table
from mep.config import digest, folder_digest
from mep.diffusion.encoding import LatentEncoder, Scaling
from mep.diffusion.latent_rows import Compact, Exact
from mep.imaging.pixels import SYMMETRIES
from mep.machine.array_cache import ArrayCache, Rows
from mep.machine.files import link_or_copy, sha256_of, write_json
from mep.machine.work import Work
from mep.sections.training import LatentsConfig
from mep.stage import stage


@stage(version=3, section="training")
def latents(
    config: LatentsConfig, images: Images, training_set: TrainingSet, base: BaseModel, *, work: Work
) -> Latents:
    """Encode every training image under every symmetry, as mean and standard deviation.

    They are kept by the digest of the image, the autoencoder, the resolution and the symmetries: another run or
    another choice of images encodes only what is new.
    """
    ids = [*training_set.ids, *training_set.validation.ids]
    chosen, turns = images.select(ids), SYMMETRIES[config.symmetries]
    encoder = LatentEncoder(base, work.device)
    shape = Scaling.of(base).shape
    facts = {"images": len(ids), "symmetries": len(turns), "shape": "x".join(map(str, shape))}
    write_json(work.out / "latents.json", facts)
    rows_of = Compact(shape, turns) if config.cache == "compact" else Exact()
    if config.cache == "off":
        save_table(work.out / "index.parquet", {"id": ids})
        return Latents(work.out)

    def compute(rows: Sequence[int]) -> Rows:
        pixels = work.map(lambda row: chosen.read_square(row, base.resolution), rows)
        return np.stack([rows_of.pack(encoder.posterior(image, turns)) for image in pixels])

    settings = {"autoencoder": folder_digest(base.pipeline / "vae", sha256_of), "side": base.resolution}
    settings |= {"symmetries": turns, "dtype": rows_of.dtype, "format": 1}
    if images.window:
        settings["window"] = images.window  # the digest of deep grey is of what is stored, not of what is seen
    if images.framing is not None:
        settings["framing"] = images.framing.dump()
    cache = ArrayCache(work.cache_for("latents") / digest(settings)[:32])
    contents = chosen.contents
    places = cache.fill(contents, compute, work)
    rows = [places[key] for key in contents]
    for shard in sorted({place.shard for place in rows}):
        link_or_copy(cache.path(shard), work.out / "shards" / f"{shard}.npy")
    save_table(
        work.out / "index.parquet",
        {"id": ids, "shard": [place.shard for place in rows], "row": [place.row for place in rows]},
    )
    return Latents(work.out)
