"""What drawing costs beside the bare model, and what engine and sampler gain over the original's way. Run by hand:

    OMP_NUM_THREADS=1 python tests/bench/bench_generation.py bare       # 256 px, SD 1.5 with a quarter of the channels
    OMP_NUM_THREADS=1 python tests/bench/bench_generation.py original [RUNS]    # of an epsilon model, see below
    python tests/bench/bench_generation.py workers                      # needs two idle cores
    OMP_NUM_THREADS=1 python tests/bench/bench_generation.py ray
    OMP_NUM_THREADS=1 python tests/bench/bench_generation.py memory
    OMP_NUM_THREADS=1 python tests/bench/bench_generation.py identity

bare        the job and its progress against UNet forwards and VAE decode of the same batches on tensors: CPU seconds
original    one prompt at a time, batches of 10, PNDM of 50 steps, JPEG, as the original does it, against ours with the
            same sampler and with DPM-Solver++ of 25 steps: CPU seconds, and with RUNS the KID of each. RUNS holds
            `mep run recipes/quickstart.yaml --set training.base.prediction=epsilon`; the first arm is drawn
workers     two processes on two cores against one process pinned to one core: wall time of the same batches
ray         one Ray actor against one local worker process on batches of one second with 2 MB of images: wall time
memory      peak memory of 1,000 and 20,000 images encoded and committed beside a loaded model, each in a process of its
            own; the model draws the first batch only, since all take the same
identity    largest difference in grey levels of the same samples over batch sizes and number of threads

CPU seconds are those of all threads of this process, so that a busy machine does not count against anybody.
"""

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mep.artifacts import Images, Model, Prompt, Prompts
from mep.config import Config
from mep.diffusion.families.stable_diffusion import StableDiffusion
from mep.diffusion.pipelines import load_pipeline
from mep.machine.jobs import Job, run_in_process
from mep.machine.libraries import prepare_libraries
from mep.machine.work import Work
from mep.machine.worker_pool import WorkerPool
from mep.machine.workers import WorkerSlot, share_cores
from mep.methods.bases._tokenizer import build_tokenizer
from mep.methods.samplers.ddim import Ddim
from mep.methods.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.methods.samplers.pndm import Pndm
from mep.stages.generation.progress import DRAWN, GenerationProgress
from mep.stages.generation.schedule import SamplePlan
from mep.stages.generation.worker_job import DrawJob

PROMPTS = [Prompt(f"p{n}", f"histology image of type {n}", None, n, 1) for n in range(5)]


def scaled_down(folder: Path, divisor: int = 4, side: int = 256) -> Path:
    """Stable Diffusion 1.5's structure with fewer channels and random weights, saved as a pipeline."""
    prepare_libraries()
    import torch
    from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer, width = build_tokenizer(77), 768 // divisor
    n = ("DownEncoderBlock2D",) * 4
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=3,
        num_attention_heads=4,
    )
    unet = UNet2DConditionModel(
        sample_size=side // 8,
        cross_attention_dim=width,
        attention_head_dim=8,
        norm_num_groups=8,
        block_out_channels=tuple(c // divisor for c in (320, 640, 1280, 1280)),
    )
    vae = AutoencoderKL(
        down_block_types=n,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=tuple(c // divisor for c in (128, 256, 512, 512)),
        layers_per_block=2,
        norm_num_groups=8,
    )
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False)
    parts = {"vae": vae, "text_encoder": CLIPTextModel(text), "tokenizer": tokenizer, "unet": unet}
    StableDiffusionPipeline(**parts, scheduler=scheduler, **StableDiffusion.left_out).save_pretrained(folder)
    return folder


def job_of(folder: Path, side: int, batch_size: int, sampler: Any) -> DrawJob:
    return DrawJob(folder, sampler, 3.0, side, side, batch_size)


def batches(plan: SamplePlan, size: int) -> list[list[Any]]:
    samples = [plan.sample(number) for number in plan.drawing_order()]
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def cpu_seconds(function: Any) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def bare(root: Path, side: int = 256, size: int = 4, steps: int = 5, rounds: int = 4) -> None:
    import torch

    folder = scaled_down(root / "model", side=side)
    plan = SamplePlan(PROMPTS[:size], [1] * size, Work(root).seed_for)
    draw = job_of(folder, side, size, Ddim(kind="ddim", steps=steps))
    pipeline = load_pipeline(folder, "cpu")
    pipeline.scheduler = draw.sampler.fitted(pipeline.scheduler.config)
    compute = draw.prepare("cpu")
    latents, captions = torch.randn(2 * size, 4, side // 8, side // 8), torch.randn(2 * size, 77, 192)

    @torch.inference_mode()
    def model() -> None:
        for t in range(steps):
            pipeline.unet(latents, torch.tensor(t), captions)
        pipeline.vae.decode(latents[:size])

    def ours() -> None:
        number = len(list(root.glob("out*")))
        progress = GenerationProgress(plan, root / f"out{number}", root / f"drawn{number}.jsonl")
        progress.commit(draw.finish(compute(batches(plan, size)[0])))

    model(), ours()
    times = [(cpu_seconds(model), cpu_seconds(ours)) for _ in range(rounds)]
    model_s, ours_s = (min(column) for column in zip(*times, strict=True))
    print(f"bare model {model_s:.2f} s, drawn and written {ours_s:.2f} s for {size} images: {model_s / ours_s:.3f}")


def original(root: Path, runs: Path | None) -> None:
    """Without RUNS only the time is measured, on random weights."""
    if runs is None:
        folder, side, prompts, n, kid = scaled_down(root / "model", divisor=8, side=64), 64, PROMPTS[:2], 10, None
    else:
        folder, side, prompts, n, kid = _trained(runs)

    def theirs(out: Path) -> list[np.ndarray]:
        import torch

        pipeline = load_pipeline(folder, "cpu")
        pipeline.scheduler = Pndm(kind="pndm", steps=50).fitted(pipeline.scheduler.config)
        images = []
        for prompt in prompts:
            for batch in range(n // 10):
                torch.manual_seed(batch)
                with torch.no_grad():
                    asked = {"num_images_per_prompt": 10, "num_inference_steps": 50, "guidance_scale": 2}
                    drawn = pipeline(prompt.text, height=side, width=side, **asked).images
                for number, image in enumerate(drawn):
                    image.save(out / f"{prompt.id}_b{batch}_im{number}.jpg")
                    images.append(np.asarray(image))
        return images

    def ours(out: Path, sampler: Any, size: int = 64) -> list[np.ndarray]:
        from PIL import Image

        plan = SamplePlan(prompts, [n] * len(prompts), Work(out).seed_for)
        progress = GenerationProgress(plan, out, out / "drawn.jsonl")
        draw = replace(job_of(folder, side, min(size, len(plan)), sampler), guidance=2.0)
        for _, drawings in run_in_process(draw, batches(plan, size), "cpu", lambda: None):
            progress.commit(drawings)
        kept = np.flatnonzero(progress.state == DRAWN)
        return [np.asarray(Image.open(out / plan.sample(int(number)).file_name)) for number in kept]

    taken = {}
    ways = {
        "the original's way, pndm 50": theirs,
        "ours, pndm 50": lambda out: ours(out, Pndm(kind="pndm", steps=50)),
        "ours, dpmsolver++ 25": lambda out: ours(out, DpmSolverPlusPlus(kind="dpmsolver++", steps=25)),
    }
    for name, way in ways.items():
        with tempfile.TemporaryDirectory() as out:
            start = time.process_time()
            images = way(Path(out))
            taken[name] = time.process_time() - start
        print(f"{name}: {taken[name]:.1f} s for {len(images)} images{kid(images) if kid else ''}", flush=True)
    a, b, c = taken.values()
    print(f"engine gain {a / b:.2f}x at the same sampler, sampler gain {b / c:.2f}x, together {a / c:.2f}x")


def _trained(runs: Path) -> Any:
    """Pipeline folder, side and prompts of the last run, images of each prompt, and KID to its held-out images."""
    from mep.imaging.pixels import square
    from mep.methods.extractors.random_conv import RandomConv
    from mep.methods.scores.kid import kernel_distance, kernel_distance_error
    from mep.recipe import load_recipe
    from mep.runner.samples import arms_of
    from mep.store import Store

    store = Store(runs)
    run_id = store.db.query("SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1")[0]["run_id"]
    arm = arms_of(store, run_id, (), "training")[0]
    prompts = Prompts.load(arm.folders["prompts"], Config()).prompts
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml")
    held_out = Images.load(arm.folders["dataset"], recipe.arms[arm.name].dataset).held_out
    model = Model(arm.folders["training"])
    extract = RandomConv(kind="random_conv").load("cpu")
    real = extract(np.stack([square(held_out.read(row), model.resolution) for row in range(len(held_out))]))

    def kid(images: list[np.ndarray]) -> str:
        fake = extract(np.stack(images))
        distance, error = kernel_distance(real, fake), kernel_distance_error(real, fake)
        return f", KID x 1000 {1000 * distance:.0f} ± {1000 * error:.0f}"

    return model.pipeline, model.resolution, prompts, 130, kid


def workers(root: Path, side: int = 128, size: int = 4, n: int = 24) -> None:
    folder = scaled_down(root / "model", side=side)
    plan = SamplePlan(PROMPTS, [n * size // len(PROMPTS)] * len(PROMPTS), Work(root).seed_for)
    draw = job_of(folder, side, size, Ddim(kind="ddim", steps=4))
    rates = {}
    for processes in (1, 2):
        places = [WorkerSlot("cpu", cores[:1]) for cores in share_cores(2)][:processes]
        results = WorkerPool(draw, batches(plan, size)).run(places, lambda: None)
        times = [time.monotonic() for _ in results]
        first = 2 * processes  # until all weights are loaded and every worker is at work
        rates[processes] = size * (len(times) - first) / (times[-1] - times[first - 1])
        print(f"{processes} process(es): {rates[processes]:.2f} images/s", flush=True)
    print(f"two on two cores against one on one core: {rates[2] / rates[1]:.2f}x")


@dataclass(frozen=True)
class OneSecond(Job):
    """A batch that takes a second and comes back with 2 MB."""

    def prepare(self, device: str) -> Any:
        return lambda number: time.sleep(1) or os.urandom(2_000_000)


def ray_overhead(n: int = 30) -> None:
    from bench_generation import OneSecond  # not from __main__, which workers have another of

    from mep.machine.engines.ray import Ray

    def taken(results: Any) -> float:
        times = [time.monotonic() for _ in results]
        return (times[-1] - times[1]) / (len(times) - 2)

    local = taken(WorkerPool(OneSecond(), range(n)).run([WorkerSlot("cpu")], lambda: None))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    actor = taken(Ray(kind="ray", actors=1).map_unordered(OneSecond(), range(n), device="cpu", stop=lambda: None))
    print(f"a batch: {local:.4f} s in a local worker, {actor:.4f} s in a Ray actor: {100 * (actor / local - 1):+.1f} %")


def draw_many(folder: Path, n: int, root: Path) -> None:
    """Peak memory in MB of n small images: the model draws one batch, whose pixels are then moved about."""
    plan = SamplePlan(PROMPTS, [n // len(PROMPTS)] * len(PROMPTS), Work(root).seed_for)
    progress = GenerationProgress(plan, root, root / "drawn.jsonl")
    progress.recover()
    size = 50
    draw = job_of(folder, 32, size, Ddim(kind="ddim", steps=1))
    numbers = progress.missing()

    def listed() -> Any:
        while batch := [plan.sample(number) for number in itertools.islice(numbers, size)]:
            yield batch

    compute = draw.prepare("cpu")
    _, returned = compute(batches(plan, size)[0])
    for batch in listed():
        returned.tensors["pixels"] = returned.tensors["pixels"].roll(1, 2)
        progress.commit(draw.finish((batch, returned)))
    progress.conclude({})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory(root: Path) -> None:
    folder = scaled_down(root / "model", divisor=8, side=32)
    peaks = {}
    for n in (1_000, 20_000):
        command = [sys.executable, __file__, "draw", str(folder), str(n), str(root / str(n))]
        (root / str(n)).mkdir()
        peaks[n] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{n} images: {peaks[n]:.0f} MB", flush=True)
    print(f"20,000 against 1,000: {100 * (peaks[20_000] / peaks[1_000] - 1):+.2f} %")


def identity(root: Path, side: int = 128) -> None:
    import torch
    from PIL import Image

    folder = scaled_down(root / "model", side=side)
    plan = SamplePlan(PROMPTS, [2] * len(PROMPTS), Work(root).seed_for)
    images = {}
    for size, threads in ((10, 1), (10, 2), (1, 1), (3, 1), (5, 1)):
        torch.set_num_threads(threads)
        out = root / f"{size}-{threads}"
        progress = GenerationProgress(plan, out, root / f"{size}-{threads}.jsonl")
        draw = job_of(folder, side, size, Ddim(kind="ddim", steps=10))
        for _, drawings in run_in_process(draw, batches(plan, size), "cpu", lambda: None):
            progress.commit(drawings)
        images[size, threads] = np.stack(
            [np.asarray(Image.open(out / plan.sample(k).file_name)) for k in range(len(plan))]
        )
        apart = np.abs(images[size, threads].astype(int) - images[10, 1].astype(int))
        print(
            f"batches of {size} on {threads} thread(s): at most {apart.max()} grey levels from batches of 10",
            flush=True,
        )


def main() -> None:
    what, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as root:
        if what == "original":
            original(Path(root), Path(rest[0]) if rest else None)
        elif what == "ray":
            ray_overhead()
        elif what == "draw":
            draw_many(Path(rest[0]), int(rest[1]), Path(rest[2]))
        else:
            {"bare": bare, "workers": workers, "memory": memory, "identity": identity}[what](Path(root))


if __name__ == "__main__":
    main()
