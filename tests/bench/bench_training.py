"""Training beside the published script's way and beside a bare loop, on the same model, batch and arithmetic.

    python tests/bench/bench_training.py                 # SD 1.5's blocks at a quarter of its channels, 256 px, CPU
    python tests/bench/bench_training.py --family sdxl   # another family, its channels times --width
    python tests/bench/bench_training.py --gpu           # SD 1.5's size, 512 px, bf16, batch 32

ours    the step of the stage `training`: cached latents and captions, everything else as a recipe has it
script  each step decodes files, resizes, encodes pixels and captions, then trains: the way of diffusers'
        train_text_to_image.py with its default data loader
bare    the denoiser forward, backward, clipping and AdamW on tensors that are already there

Times are medians of steps that take turns in one process: on a CPU its seconds over all threads, so run it with
OMP_NUM_THREADS=1. Memory is the peak of a process of its own for each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from family_models import BUILDERS, build
from PIL import Image
from sd_like import draw_images, peak_gb

from mep.diffusion.checkpoints import STALL, Checkpoints
from mep.diffusion.families import family_of
from mep.diffusion.pipelines import load_part
from mep.machine.devices import fixed_order, products
from mep.machine.graphs import compile_graphs
from mep.machine.libraries import prepare_libraries

N_IMAGES = 32


def prepare(root: Path, options: argparse.Namespace):
    """Inputs of the stage `training`, with caches filled, and its config."""
    from mep.artifacts import BaseModel, Prompt, Prompts, TrainingSet
    from mep.machine.settings import ONE_PROCESS
    from mep.machine.work import Work
    from mep.methods.sources.imagefolder import ImageFolder
    from mep.sections.dataset import DatasetConfig
    from mep.sections.training import LatentsConfig, TrainingConfig
    from mep.stages.dataset.stage import dataset
    from mep.stages.latents import latents

    source = ImageFolder(kind="imagefolder", path=root / "images")
    images = dataset.function(
        DatasetConfig(source=source, label="label", near_duplicate_bits=None), work=Work(folder=root / "dataset")
    )
    train = images.train
    labels = [train.label_of(row) for row in range(len(train))]
    chosen = TrainingSet(train.ids, labels, np.zeros(len(train), dtype=np.int64), np.ones(len(train)), [])
    texts = [Prompt(name, f"Histology image of {name} tissue", name, None, 1) for name in "ab"]
    prompts = Prompts(texts, {name: "ab".index(label) for name, label in zip(train.ids, labels, strict=True)})
    (root / "base.json").write_text(json.dumps({"kind": "pretrained", "resolution": options.side}))
    base = BaseModel(root)
    machine = ONE_PROCESS.model_copy(update={"device": options.device, "compile": options.compile})
    work = Work(folder=root / "latents", cache=root / "cache", machine=machine)
    encoded = latents.function(LatentsConfig(cache="compact"), images, chosen, base, work=work)
    settings = {"base": {"kind": "pretrained", "path": root / "pipeline", "resolution": options.side}}
    settings |= {"steps": 1000, "global_batch_size": options.batch, "precision": options.precision, "ema_decay": 0}
    config = TrainingConfig.model_validate(settings | {"watch": {"looks": 0}})
    return config, (images, chosen, prompts, base, encoded), work


def ours(root: Path, options: argparse.Namespace) -> Callable[[int], object]:
    prepare_libraries()
    from mep.stages.training.batches import TrainingInputs
    from mep.stages.training.build import assemble

    config, parts, work = prepare(root, options)
    assembled = assemble(config, TrainingInputs(*parts), work)
    global STATE
    STATE = assembled.state
    return assembled.step


def bare_step(root: Path, options: argparse.Namespace):
    """What does one step of the denoiser on noisy latents, times, conditions and the target."""
    family = family_of(root / "pipeline")
    core = load_part(root / "pipeline", family.core, options.device).train()
    optimizer = torch.optim.AdamW(core.parameters(), lr=1e-5, weight_decay=1e-2, fused=True)
    low = {"bf16": torch.bfloat16}.get(options.precision)
    if options.compile:
        compile_graphs(core, options.device)

    def step(noisy, times, condition, target):
        with torch.autocast(options.device, low, enabled=low is not None):
            predicted = family.predict(core, noisy, times, condition)
        torch.nn.functional.mse_loss(predicted.float(), target).backward()
        torch.nn.utils.clip_grad_norm_(core.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def readers(root: Path, options: argparse.Namespace):
    """What encodes texts as the family does, in low precision."""
    pipeline, family = root / "pipeline", family_of(root / "pipeline")
    low = {"bf16": torch.bfloat16}.get(options.precision, torch.float32)
    parts = {
        name: load_part(pipeline, name, options.device) for pair in family.readers(pipeline).items() for name in pair
    }
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).to(low)

    @torch.no_grad()
    def encode(texts):
        return family.encode(SimpleNamespace(**parts), texts, options.side)

    return encode


def bare(root: Path, options: argparse.Namespace) -> Callable[[int], object]:
    step = bare_step(root, options)
    channels = json.loads((root / "pipeline" / "vae" / "config.json").read_text())["latent_channels"]
    shape = (options.batch, channels, options.side // 8, options.side // 8)
    noisy, noise = (torch.randn(shape, device=options.device) for _ in range(2))
    condition = readers(root, options)(["Histology image of a tissue"] * options.batch)
    times = torch.randint(1000, (options.batch,), device=options.device)
    return lambda number: step(noisy, times, condition, noise)


def script(root: Path, options: argparse.Namespace) -> Callable[[int], object]:
    prepare_libraries()
    from torchvision import transforms

    device, low = options.device, {"bf16": torch.bfloat16}.get(options.precision, torch.float32)
    vae = load_part(root / "pipeline", "vae", device).requires_grad_(False).to(low)
    encode, step = readers(root, options), bare_step(root, options)
    prepared = transforms.Compose(
        [
            transforms.Resize(options.side, interpolation=transforms.InterpolationMode.BILINEAR),
            transforms.CenterCrop(options.side),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ]
    )
    files = sorted((root / "images").glob("*.png"))

    class Pixels(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, row):
            with Image.open(files[row]) as image:
                return prepared(image.convert("RGB")), f"Histology image of {'ab'[row % 2]} tissue"

    def forever():
        while True:
            yield from torch.utils.data.DataLoader(Pixels(), batch_size=options.batch, shuffle=True, drop_last=True)

    loader = forever()

    def train_step(number: int) -> None:
        pixels, texts = next(loader)
        with torch.no_grad():
            latents = vae.encode(pixels.to(device).to(low)).latent_dist.sample().float() * vae.config.scaling_factor
        noise, share = torch.randn_like(latents), torch.rand(len(latents), device=device)
        noisy = latents + share.view(-1, 1, 1, 1) * (noise - latents)
        step(noisy, 1000 * share, encode(list(texts)), noise)

    return train_step


WAYS = {"ours": ours, "script": script, "bare": bare}
STATE: dict = {}


def synchronise(options: argparse.Namespace) -> None:
    if options.device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds(step: Callable[[int], object], number: int, options: argparse.Namespace) -> float:
    """CPU seconds over all threads on a CPU, so that a busy machine does not count; else what the clock says."""
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    synchronise(options)
    began = clock()
    step(number)
    synchronise(options)
    return clock() - began


def held_gb(options: argparse.Namespace) -> float:
    """Most memory that this process has held on its device."""
    return torch.cuda.max_memory_allocated() / 1e9 if options.device.startswith("cuda") else peak_gb()


def peak(name: str, root: Path, options: argparse.Namespace) -> float:
    """Most memory in GB that two steps take in a process of their own."""
    command = [sys.executable, __file__, "--root", str(root), "--peak", name, "--side", str(options.side)]
    command += ["--batch", str(options.batch), "--device", options.device, "--precision", options.precision]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def alone(name: str, root: Path, options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a step among consecutive ones, after five that warm up, and the most memory that was held."""
    with products(tf32=False), fixed_order(required=options.deterministic):
        step = WAYS[name](root, options)
        taken = [seconds(step, number, options) for number in range(options.rounds + 5)][5:]
    return {"step_s": float(np.median(taken)), "peak_gb": held_gb(options)}


def measure(root: Path, options: argparse.Namespace) -> None:
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    steps = {name: way(root, options) for name, way in WAYS.items()}
    for number in range(options.rounds + 1):
        for name, step in steps.items():
            taken = seconds(step, number, options)
            if number:  # the first one warms up
                times[name].append(taken)
    median = {name: float(np.median(taken)) for name, taken in times.items()}
    for name, taken in median.items():
        print(f"{name:7s} {taken:7.3f} s a step  {options.batch / taken:7.2f} images/s")
    print(f"against the script's way  {median['script'] / median['ours']:.2f}x  (target 1.4x)")
    print(f"share of the bare loop    {median['bare'] / median['ours']:.3f}  (target 0.95)")
    checkpoints = Checkpoints(root / "checkpoints", every_s=30)
    checkpoints.save(1, STATE)
    stall = checkpoints.saving_s / (checkpoints.interval_s + checkpoints.saving_s)
    every = f"{checkpoints.saving_s:.2f} s every {checkpoints.interval_s:.0f} s"
    print(f"checkpoint stall          {stall:.2%}  ({every}; target {STALL:.0%})")
    del steps
    memory = {name: peak(name, root, options) for name in ("ours", "script", "bare")}
    for name, held in memory.items():
        print(f"{name:7s} {held:7.2f} GB")
    print(f"memory against bare loop  {memory['ours'] / memory['bare']:.3f}x  (target 1.05x)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true")
    for name, default in {"width": 0.25, "side": 256, "batch": 4, "rounds": 9}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--family", choices=BUILDERS, default="sd")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--root", type=Path, help="folder for model and images, which the next call finds made")
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--alone", choices=WAYS, help="consecutive steps of one way alone, as JSON")
    parser.add_argument("--deterministic", action="store_true", help="machine.deterministic, for ours")
    options = parser.parse_args()
    if options.gpu:
        vars(options).update(width=1.0, side=512, batch=32, rounds=30, device="cuda", precision="bf16")
    if options.peak:
        step = WAYS[options.peak](options.root, options)
        for number in range(2):
            step(number)
        print(held_gb(options))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        root = options.root or Path(scratch)
        if not (root / "pipeline").exists():
            build(options.family, root / "pipeline", options.width, options.device)
            draw_images(root / "images", N_IMAGES, options.side)
            prepare(root, options)
        if options.alone:
            print(json.dumps(alone(options.alone, root, options)))
        else:
            measure(root, options)


if __name__ == "__main__":
    main()
