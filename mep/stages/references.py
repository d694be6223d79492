"""References: features of the real images, shared by all arms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import BaseModel, Images, References
from mep.artifacts.score_row import JsonObject
from mep.diffusion.pipelines import load_pipeline, to_pixels, to_tensor
from mep.evaluation.features import ReadBatch, features_of, protocol_of
from mep.evaluation.space import drawn
from mep.imaging.pixels import square
from mep.machine.files import write_atomically, write_text
from mep.machine.work import Work
from mep.sections.metrics import ReferencesConfig
from mep.stage import stage

N_KEPT = 12
"""Reconstructions that are kept as pictures, for the eye."""


@stage(version=2, section="metrics")
def references(config: ReferencesConfig, images: Images, base: BaseModel, *, work: Work) -> References:
    """Extract features of held-out and training images, and of the held-out ones after the autoencoder."""
    size = config.eval_resolution or base.resolution
    held_out, train = images.held_out, images.train
    if config.train_images is not None:
        train = train.take(np.sort(drawn(len(train), config.train_images, config.seed, 5)))
    rebuild = reconstructor(base, work.device) if base.pipeline.is_dir() else None

    def reconstructions(rows: Sequence[int]) -> NDArray[np.uint8]:
        assert rebuild is not None
        rebuilt = rebuild(np.stack([held_out.read_square(row, base.resolution) for row in rows]))
        return np.stack([square(pixels, size) for pixels in rebuilt])

    sets: dict[str, tuple[int, ReadBatch]] = {
        "heldout": (len(held_out), Squares(held_out, size)),
        "train": (len(train), Squares(train, size)),
    }
    if rebuild:
        sets["floor"] = len(held_out), reconstructions
    features: dict[str, dict[str, NDArray[np.float32]]] = {}
    protocol: dict[str, JsonObject] = {}
    for extractor in config.extractors:
        extract = extractor.load(work.device)
        features[extractor.name] = {
            name: features_of(f"{extractor.name}-{name}", read, n, extract if name == "floor" else extractor, work)
            for name, (n, read) in sets.items()
        }
        protocol[extractor.name] = protocol_of(extractor, features[extractor.name]["heldout"].shape[1], size)
    if rebuild:
        _keep_reconstructions(held_out, base.resolution, rebuild, work.out / "reconstructions")
    return References(features, protocol, {"heldout": _table(held_out), "train": _table(train)}, images.findings)


def _keep_reconstructions(
    held_out: Images, size_px: int, rebuild: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], folder: Path
) -> None:
    """A few held-out images after the autoencoder as 00.png, 01.png, ..., over all labels; ids.txt names them."""
    from PIL import Image

    by_label = np.argsort(held_out.labels, kind="stable")
    places = np.linspace(0, len(held_out) - 1, min(N_KEPT, len(held_out))).round().astype(int)
    rows = [int(row) for row in by_label[places]]
    rebuilt = rebuild(np.stack([held_out.read_square(row, size_px) for row in rows]))
    for number, pixels in enumerate(rebuilt):
        write_atomically(folder / f"{number:02d}.png", partial(Image.fromarray(pixels).save, format="png"))
    write_text(folder / "ids.txt", "".join(f"{held_out.ids[row]}\n" for row in rows))


@dataclass(frozen=True)
class Squares:
    """Reads images by their rows as squares, wherever a worker runs."""

    images: Images
    size_px: int

    def __call__(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack([square(self.images.read(row), self.size_px) for row in rows])


def _table(images: Images) -> dict[str, list[Any]]:
    groups = [None] * len(images) if images.group is None else images.groups.tolist()
    return {"id": images.ids, "label": [images.label_of(row) for row in range(len(images))], "group": groups}


def reconstructor(base: BaseModel, device: str) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """A pass through the base's autoencoder, uint8 (b, h, w, 3): the best that a model on it could draw."""
    import torch

    vae = load_pipeline(base.pipeline, device).vae

    @torch.inference_mode()
    def rebuild(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return to_pixels(vae.decode(vae.encode(to_tensor(pixels, device)).latent_dist.mean).sample)

    return rebuild
