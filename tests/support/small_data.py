"""Small drawn datasets, a recipe that runs end to end in seconds, the real data where it lies."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from mep.artifacts import Images

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"

TINY_BASE = {
    "kind": "scratch",
    "resolution": 16,
    "autoencoder": {"channels": [8, 8], "latent_channels": 2, "steps": 3, "batch_size": 2, "crop_px": 16},
    "unet": {"channels": [8, 8], "attention": [False, True], "head_channels": 8},
    "text": {"width": 16, "layers": 1, "tokens": 20},
}
"""A base of 16 px that is built in a second."""

QUICK_FEATURES = {"kind": "random_conv"}
"""Features in a tenth of the time that the default takes, for tests whose subject is something else."""

SMALL = [
    *("training.base.preset=nano", "training.base.resolution=16", "training.base.autoencoder={kind: pca}"),
    "training.base.unet={channels: [8, 8], attention: [false, true], head_channels: 8}",
    "training.base.text={width: 16, layers: 1}",
    *("training.steps=4", "training.warmup_steps=0", "training.global_batch_size=4", "training.precision=fp32"),
    *("training.watch={looks: 1, steps: 2, prompts: 1}", "clustering.method.k=2"),
    *("generation.allocation.images=4", "generation.sampler={kind: dpmsolver++, steps: 2}"),
    *("metrics.extractors=[random_conv]", "utility.extractor=random_conv"),
    *("machine.device=cpu", "machine.engine={kind: local, workers: 1}"),
]
"""What makes of a recipe for a GPU one that is done in seconds."""


def real_data(name):
    """A folder of real images outside the repository; the test is skipped where it is absent."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the real images are not here: {folder} does not exist")
    return folder


def draw(rng, brown, size=32):
    """A picture with some structure: blobs of one of two colours on a pale ground."""
    y, x = np.mgrid[:size, :size]
    pixels = np.full((size, size, 3), 230.0)
    for _ in range(6):
        cy, cx, r = [*rng.uniform(0, size, 2), rng.uniform(2, 7)]
        pixels[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = (120, 70, 30) if brown else (80, 90, 160)
    return np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)


def draw_imagefolder(folder, n=40):
    """Images of 32 pixels, half `cancer` and half `healthy`, four from each slide, with a metadata.jsonl."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for number in range(n):
        label = ("healthy", "cancer")[number % 2]
        Image.fromarray(draw(rng, label == "cancer")).save(folder / f"{number:02d}.png")
        slide = f"s{number // 4}"
        lines.append(f'{{"file_name": "{number:02d}.png", "label": "{label}", "slide": "{slide}"}}')
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def in_memory(pictures):
    """Images whose pixels are in memory."""
    n = len(pictures)
    source = SimpleNamespace(open=lambda name: Image.fromarray(pictures[int(name)]))
    none = np.full(n, -1, dtype=np.int64)
    sizes = np.array([picture.shape[1::-1] for picture in pictures])
    return Images([str(row) for row in range(n)], none, [], np.zeros(n, np.int8), [""] * n, sizes, {}, source)


def tiny_settings(folder, *, training_steps=6, autoencoder_steps=6):
    """A complete recipe with a model small enough to train in a second or two."""
    return {
        "mep": 2,
        "name": "tiny",
        "seed": 7,
        "dataset": {
            "source": {"kind": "imagefolder", "path": str(folder)},
            "label": "label",
            "holdout": {"fraction": 0.25},
        },
        "clustering": {"method": {"kind": "kmeans", "k": 2}},
        "prompts": {"template": "Histology image of {label} tissue, morphology type {cluster:words}"},
        "training": {
            "base": {
                "kind": "scratch",
                "resolution": 32,
                "autoencoder": {"channels": [8, 8], "latent_channels": 4, "steps": autoencoder_steps, "batch_size": 4},
                "unet": {"channels": [16, 16], "attention": [False, True], "head_channels": 8},
                "text": {"width": 16, "layers": 1},
            },
            "steps": training_steps,
            "global_batch_size": 4,
            "learning_rate": 1e-3,
            "watch": {"looks": 1, "steps": 2, "prompts": 1},
        },
        "generation": {
            "allocation": {"kind": "per_label", "images": 5},
            "sampler": {"kind": "dpmsolver++", "steps": 2},
            "guidance": 1.5,
        },
        "metrics": {"extractors": [QUICK_FEATURES]},
        "utility": {"extractor": QUICK_FEATURES},
        "arms": {"label-only": {"prompts": {"template": "Histology image of {label} tissue"}}, "mep": {}},
        "machine": {"device": "cpu", "batch_size": 8, "engine": {"kind": "local", "workers": 1}},
    }


def write_recipe(path, settings):
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path
