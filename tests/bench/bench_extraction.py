"""Feature extraction beside the bare network: what reading, resizing and moving images costs. Run by hand:

    OMP_NUM_THREADS=1 python tests/bench/bench_extraction.py [96]

For networks of the usual sizes with random weights: images a second of the network alone on a tensor that is ready,
of the whole way from PNG files of the given side to features, and their ratio. Inception is torchvision's, scripted
and read as the published file is.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mep.evaluation.features import features_of
from mep.evaluation.folder import open_folder
from mep.imaging.encoders import load_transformers
from mep.machine.files import sha256_of
from mep.machine.libraries import declare_missing_operators
from mep.machine.settings import ONE_PROCESS
from mep.machine.work import Work
from mep.methods.extractors import Network
from mep.methods.extractors.inception import FILE, Inception

N, BATCH = 64, 16


class Published(torch.nn.Module):
    """What of the published file is used: `layers`."""

    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def inception(folder: Path) -> Network:
    import torchvision

    model = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
    model.fc = torch.nn.Identity()
    path = folder / FILE
    torch.jit.script(Published(torch.jit.trace(model.eval(), torch.zeros(2, 3, 299, 299)))).save(str(path))
    Inception.SHA256, Inception.BYTES = sha256_of(path), path.stat().st_size
    return Inception(kind="inception", weights=path).load("cpu")


def vit(folder: Path) -> Network:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    ViTModel(ViTConfig(), add_pooling_layer=False).save_pretrained(folder / "vit")
    ViTImageProcessor().save_pretrained(folder / "vit")
    encoder = load_transformers(folder / "vit", "cls", "cpu")
    return Network(lambda batch: encoder.prepare(list(batch)), encoder.forward)


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def main(side: int) -> None:
    declare_missing_operators()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        rng = np.random.default_rng(0)
        (root / "images").mkdir()
        for number in range(N):
            smooth = Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).resize((side, side))
            smooth.save(root / "images" / f"{number:03d}.png")
        images = open_folder(root / "images")
        for title, build in (("Inception-v3", inception), ("ViT-B/16", vit)):
            network = build(root)
            batch = np.stack([images.read(row, None) for row in range(BATCH)])
            ready = network.prepare(batch)
            network.forward(ready)
            read = lambda rows: np.stack([images.read(row, None) for row in rows])  # noqa: E731
            work = Work(root / title, machine=ONE_PROCESS.model_copy(update={"batch_size": BATCH}))
            bare = seconds(lambda network=network, ready=ready: [network.forward(ready) for _ in range(N // BATCH)])
            whole = seconds(lambda network=network, work=work, read=read: features_of("x", read, N, network, work))
            wall, cpu = (alone / together for alone, together in zip(bare, whole, strict=True))
            print(f"{title}, {side} px: bare {N / bare[0]:.1f} images/s, from files {N / whole[0]:.1f} images/s: "
                  f"{wall:.3f} of it (CPU seconds: {cpu:.3f})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 96)
