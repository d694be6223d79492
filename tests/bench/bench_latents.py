"""What compact latents lose, and whether an autoencoder turns with its image.

    python tests/bench/bench_latents.py [STEPS]

A KL autoencoder as the quickstart's bases had it is trained on the builtin sample. Then, over its tiles: how far means
in bfloat16 and deviations in a byte are off, beside what the posterior itself leaves open; and how far the latents of a
turned tile are from the turned latents of the tile. Latents have variance 1.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from mep.diffusion.latent_rows import Compact
from mep.diffusion.pipelines import to_tensor
from mep.imaging.pixels import SYMMETRIES, symmetry
from mep.machine.libraries import prepare_libraries
from mep.machine.work import Work
from mep.methods.autoencoders.kl import Kl
from mep.methods.sources.sample import Sample
from mep.sections.dataset import DatasetConfig
from mep.stages.dataset.stage import dataset

SIDE = 48


def main(steps: int, root: Path) -> None:
    prepare_libraries()
    config = DatasetConfig(source=Sample(kind="sample", tile_px=SIDE), label="stain")
    images = dataset.function(config, work=Work(folder=root / "dataset"))
    vae, _ = Kl(kind="kl", steps=steps).build(images.train, SIDE, Work(folder=root / "base", seed=1))
    turns = SYMMETRIES["square"]
    tiles = np.stack([images.train.read_square(row, SIDE) for row in range(64)])
    with torch.inference_mode():
        views = [vae.encode(to_tensor(symmetry(tiles, turn))).latent_dist for turn in turns]
    posterior = torch.stack([torch.stack([view.mean, view.std], 1) for view in views], 1).numpy()
    compact = Compact(posterior.shape[3:], turns)
    rows = [compact.pack(one) for one in posterior]
    back = np.stack([[compact.unpack(row, place) for place in range(len(turns))] for row in rows])
    turned = np.stack([symmetry(posterior[:, 0, 0].transpose(0, 2, 3, 1), turn) for turn in turns], 1)
    apart = posterior[:, 1:, 0] - turned[:, 1:].transpose(0, 1, 4, 2, 3)
    drawn = np.abs(posterior[:, :, 1]).mean()
    print(f"bytes against float32            {rows[0].nbytes / posterior[0].nbytes:.3f}  (target 0.3)")
    print(f"deviation of the posterior       {drawn:.4f}, mean over latents of variance {posterior[:, 0, 0].var():.2f}")
    print(f"error of a mean in bfloat16      {np.sqrt(((back - posterior)[:, :, 0] ** 2).mean()):.4f} rms")
    print(f"error of a deviation             {np.abs(back[:, :, 1] / posterior[:, :, 1] - 1).mean():.1%} on average")
    print(f"turned latents against latents of the turned: {np.sqrt((apart**2).mean()):.3f} rms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 800, Path(scratch))
