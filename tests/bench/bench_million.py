"""How training begins on a million images: time to the first step, and memory against a tenth of them.

    OMP_NUM_THREADS=1 python tests/bench/bench_million.py              # 100,000 and 1,000,000 images, 2.2 GB of disk

Latents of 4 x 8 x 8 numbers, as the autoencoder of Stable Diffusion makes them of 64 px, lie in their shards; the model
is tiny. Measured from the loading of the artifacts on, as `mep run` does it, in a process of its own each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sd_like import peak_gb

from mep.artifacts import BaseModel, Latents, Prompt, Prompts, TrainingSet
from mep.artifacts.base import save_table
from mep.config import Config
from mep.machine.array_cache import SHARD_ROWS
from mep.machine.files import write_json
from mep.machine.settings import ONE_PROCESS
from mep.machine.work import Work

LABELS, CLUSTERS, SHAPE = ("cancer", "healthy"), 8, (4, 8, 8)
BASE = {
    "kind": "scratch",
    "resolution": 64,
    "autoencoder": {"channels": [8, 8, 8, 8], "latent_channels": 4, "steps": 1, "batch_size": 2, "crop_px": 64},
    "unet": {"channels": [16, 16], "attention": [False, True], "head_channels": 8},
    "text": {"width": 16, "layers": 1, "tokens": 20},
}


def write(root: Path, n: int) -> None:
    """The artifacts that a training reads, of n images."""
    from mep.methods.bases.scratch import Scratch

    rng = np.random.default_rng(0)
    ids = [f"slides/{number // 1000:04d}/tile-{number:07d}.png" for number in range(n)]
    labels, clusters = rng.integers(2, size=n), rng.integers(CLUSTERS, size=n)
    names = [LABELS[label] for label in labels]
    for folder in ("training_set", "prompts", "latents/shards", "base"):
        (root / folder).mkdir(parents=True)
    TrainingSet(ids, names, clusters, np.ones(n), []).save(root / "training_set")
    texts = [
        Prompt(f"{label}_{cluster}", f"Histology image of {label} tissue, morphology type {cluster}", label, cluster, 1)
        for label in LABELS
        for cluster in range(CLUSTERS)
    ]
    numbers = (labels * CLUSTERS + clusters).tolist()
    Prompts(texts, dict(zip(ids, numbers, strict=True))).save(root / "prompts")
    shards = [f"{number:032x}" for number in range(-(-n // SHARD_ROWS))]
    places = {"id": ids, "shard": [shards[row // SHARD_ROWS] for row in range(n)], "row": np.arange(n) % SHARD_ROWS}
    save_table(root / "latents" / "index.parquet", places)
    for number, name in enumerate(shards):
        rows = min(SHARD_ROWS, n - number * SHARD_ROWS)
        values = rng.standard_normal((rows, 1, 2, *SHAPE), dtype=np.float32)
        np.save(root / "latents" / "shards" / f"{name}.npy", values)
    write_json(root / "latents" / "latents.json", {"images": n, "symmetries": 1, "shape": "4x8x8"})
    Scratch.model_validate(BASE).build(_Pictures(), Work(folder=root / "base"))
    write_json(root / "base" / "out" / "base.json", {"kind": "scratch", "resolution": 64})


class _Pictures:
    """Two pictures, for the autoencoder's single step."""

    ids = ("a", "b")

    def __len__(self) -> int:
        return 2

    def read_square(self, row: int, side: int):
        return np.random.default_rng(row).integers(0, 256, (side, side, 3), dtype=np.uint8)


def begin(root: Path, steps: int) -> dict[str, float]:
    """Seconds from the loading of artifacts to the end of the first step, of a later step, and the peak of memory."""
    from mep.machine.libraries import prepare_libraries

    prepare_libraries()
    from mep.sections.training import TrainingConfig
    from mep.stages.training.batches import TrainingInputs
    from mep.stages.training.build import assemble

    before, began = peak_gb(), time.perf_counter()
    settings = {"base": BASE, "steps": 10_000, "global_batch_size": 32, "watch": {"looks": 0}}
    config = TrainingConfig.model_validate(settings)
    chosen = TrainingSet.load(root / "training_set", Config())
    prompts = Prompts.load(root / "prompts", Config())
    parts = (None, chosen, prompts, BaseModel(root / "base" / "out"), Latents(root / "latents"))
    work = Work(folder=root / "work", cache=root / "cache", machine=ONE_PROCESS)
    setup = assemble(config, TrainingInputs(*parts), work)
    setup.step(0)
    first = time.perf_counter() - began
    times = []
    for number in range(1, steps):
        since = time.process_time()
        setup.step(number)
        times.append(time.process_time() - since)
    setup.step.ahead.close()
    return {"first_s": first, "step_s": float(np.median(times)), "added_gb": peak_gb() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.root:
        print(json.dumps(begin(options.root, options.steps)))
        return
    for n in options.images:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            write(Path(scratch), n)
            command = [sys.executable, __file__, "--root", scratch, "--steps", str(options.steps)]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        seconds = f"first step after {found['first_s']:.1f} s, then {1000 * found['step_s']:.1f} ms of CPU a step"
        print(f"{n:>9,} images: {seconds}; {found['added_gb']:.2f} GB more than before", flush=True)


if __name__ == "__main__":
    main()
