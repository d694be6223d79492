"""Stable Diffusion 1.5 at its true size on two CPU cores: python tests/bench/sd15_true_size.py [FOLDER]

A pipeline with its architecture and random weights is saved as if it were the hub's. Then, at 256 px, LoRA and the full
UNet (bf16 weights, Adafactor, gradient checkpointing) are trained, stopped by a signal, resumed, and asked for one
image. Every phase is a process of its own; each line tells its wall time and the most memory it held. Needs 20 GB of
memory and 30 GB of disk.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE, STEPS, STOP_AFTER = 256, 2, 1
LIMIT_GB = 20
METHODS = {
    "lora": {"method": {"kind": "lora", "rank": 16}, "learning_rate": 1e-4},
    "unet": {"method": "unet", "learning_rate": 1e-5},
}
COMMON = {"steps": STEPS, "global_batch_size": 2, "optimizer": "adafactor", "precision": "bf16", "weights": "bf16"}
COMMON |= {"ema_decay": 0, "watch": {"looks": 0}}


def inputs(root: Path):
    """Images, training set, prompts, base and latents, from what earlier phases left."""
    import numpy as np

    from mep.artifacts import BaseModel, Latents, Prompt, Prompts, TrainingSet
    from mep.machine.work import Work
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.dataset import DatasetConfig
    from mep.stages.dataset.stage import dataset

    source = ImageFolder(kind="imagefolder", path=root / "images")
    config = DatasetConfig(source=source, label="label", near_duplicate_bits=None)
    images = dataset.function(config, work=Work(folder=root / "work-dataset"))
    train = images.train
    labels = [train.label_of(row) for row in range(len(train))]
    chosen = TrainingSet(train.ids, labels, np.zeros(len(train), dtype=np.int64), np.ones(len(train)), [])
    texts = [Prompt(name, f"Histology image of {name} tissue", name, None, 1) for name in "ab"]
    prompts = Prompts(texts, {name: "ab".index(label) for name, label in zip(train.ids, labels, strict=True)})
    return images, chosen, prompts, BaseModel(root / "work-base" / "out"), Latents(root / "work-latents" / "out")


def base(root: Path) -> str:
    from mep.machine.work import Work
    from mep.methods.bases.pretrained import Pretrained
    from mep.sections.training import BaseConfig, LatentsConfig
    from mep.stages.base import base
    from mep.stages.latents import latents

    images, chosen, _, made, _ = inputs(root)
    config = BaseConfig(base=Pretrained(kind="pretrained", path=root / "model", resolution=SIDE))
    base.function(config, images, work=Work(folder=root / "work-base"))
    encoded = Work(folder=root / "work-latents", cache=root / "cache")
    return str(latents.function(LatentsConfig(cache="compact"), images, chosen, made, work=encoded).facts())


def train(root: Path, name: str, stop_after: int | None) -> str:
    from mep.errors import Interrupted
    from mep.machine.settings import ONE_PROCESS
    from mep.machine.work import Work
    from mep.sections.training import TrainingConfig
    from mep.stages.training.stage import training

    looks = iter(range(10**6))
    images, chosen, prompts, made, encoded = inputs(root)
    settings = COMMON | METHODS[name] | {"base": {"kind": "pretrained", "path": root / "model", "resolution": SIDE}}
    machine = ONE_PROCESS.model_copy(update={"gradient_checkpointing": True, "micro_batch": 1})
    work = Work(folder=root / f"work-{name}", cache=root / "cache", machine=machine)
    if stop_after:  # once the first step has begun: captions are encoded before that
        begun = work.folder / "training"
        work.stop_signal = lambda: signal.SIGTERM if begun.exists() and next(looks) >= stop_after - 1 else None
    try:
        config = TrainingConfig.model_validate(settings)
        model = training.function(config, images, chosen, prompts, made, encoded, work=work)
    except Interrupted:
        sizes = {path.name: f"{path.stat().st_size / 1e9:.2f} GB" for path in work.folder.rglob("*.pt")}
        return f"stopped, checkpoint {sizes}"
    losses = ", ".join(f"{row['loss']:.3f}" for row in model.losses)
    return f"{model.facts()['parameters']:,} trained parameters, losses {losses}"


def generate(root: Path, name: str) -> str:
    import torch

    from mep.diffusion.pipelines import load_pipeline

    pipeline = load_pipeline(root / f"work-{name}" / "out" / "pipeline", "cpu").to(torch.bfloat16)
    noise = torch.Generator().manual_seed(0)
    image = pipeline("Histology image of a tissue", num_inference_steps=3, height=SIDE, width=SIDE, generator=noise)
    image.images[0].save(root / f"{name}.png")
    return f"{image.images[0].size[0]} px, {root / f'{name}.png'}"


def phase(root: Path, name: str) -> str:
    from sd_like import build, draw_images

    if name == "build":
        build(root / "model")
        draw_images(root / "images", 10, SIDE)
        return f"{sum(path.stat().st_size for path in (root / 'model').rglob('*')) / 1e9:.2f} GB on disk"
    if name == "base and latents":
        return base(root)
    method, action = name.split()
    if action == "image":
        return generate(root, method)
    return train(root, method, STOP_AFTER if action == "train" else None)


def main(root: Path) -> None:
    names = ["build", "base and latents", *(f"{m} {a}" for m in METHODS for a in ("train", "resume", "image"))]
    most = 0.0
    for name in names:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, __file__, str(root), name], stdout=subprocess.PIPE, text=True, check=True
        )
        result = json.loads(done.stdout.splitlines()[-1])
        most = max(most, result["peak_gb"])
        print(
            f"{name:18s} {time.monotonic() - began:6.1f} s  {result['peak_gb']:5.1f} GB  {result['what']}", flush=True
        )
    print(f"most memory {most:.1f} GB of {LIMIT_GB} GB: {'met' if most <= LIMIT_GB else 'missed'}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        from sd_like import peak_gb

        said = phase(Path(sys.argv[1]), sys.argv[2])
        peak = peak_gb()
        print(json.dumps({"what": said, "peak_gb": peak}))
    elif len(sys.argv) == 2:
        Path(sys.argv[1]).mkdir(parents=True)
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory(prefix="sd15-", dir=os.environ.get("TMPDIR")) as scratch:
            main(Path(scratch))
