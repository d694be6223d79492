"""Drawing on a GPU in bf16, as images a second: our files, bare passes on tensors, and the pipeline's own call.

    python tests/bench/gpu_drawing.py [--model FOLDER] [--compile]       # SD 1.5's size with random weights, 512 px
    python tests/bench/gpu_drawing.py --device cpu --width 0.1 --side 64 --batch 2 --steps 3      # to try it

ours    the job of the stage `generation`, its files encoded on a thread and committed
bare    passes of the UNet over twice the batch, for guidance, and the decoder, on tensors that are there
call    the pipeline called as its manual says, images saved as PNG

The last line is JSON. The first batch of each warms up and does not count.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from bench_generation import PROMPTS, batches, job_of
from sd_like import build

from mep.diffusion.pipelines import load_pipeline
from mep.machine.graphs import compile_graphs
from mep.machine.jobs import run_in_process
from mep.machine.work import Work
from mep.methods.samplers.dpmsolverpp import DpmSolverPlusPlus
from mep.stages.generation.progress import GenerationProgress
from mep.stages.generation.schedule import SamplePlan
from mep.stages.generation.worker_job import DrawJob


@dataclass
class Clock:
    """Hands out batches; the seconds from the second one on, once the device has done everything."""

    given: list[Any]
    device: str
    began: float = field(default=0.0, init=False)

    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(self.given):
            if number == 1:
                self.began = self.now()
            yield batch

    def now(self) -> float:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()

    def rate(self) -> float:
        """Images a second."""
        return sum(len(batch) for batch in self.given[1:]) / (self.now() - self.began)


def ours(draw: DrawJob, clock: Clock, plan: SamplePlan, root: Path) -> float:
    progress = GenerationProgress(plan, root / "out", root / "drawn.jsonl")
    for _, drawn in run_in_process(draw, clock, clock.device, lambda: None):
        progress.commit(drawn)
    return clock.rate()


@torch.inference_mode()
def bare(draw: DrawJob, clock: Clock, pipeline: Any) -> float:
    side, width = draw.side // pipeline.vae_scale_factor, pipeline.text_encoder.config.hidden_size
    like = {"device": clock.device, "dtype": torch.bfloat16}
    latents = torch.randn(2 * draw.batch_size, 4, side, side, **like)
    captions = torch.randn(2 * draw.batch_size, 77, width, **like)
    for _ in clock:
        for t in range(draw.sampler.steps):
            pipeline.unet(latents, torch.tensor(t, device=clock.device), captions)
        for part in latents[: draw.batch_size].split(draw.decode_at_once):
            pipeline.vae.decode(part)
    return clock.rate()


def call(draw: DrawJob, clock: Clock, pipeline: Any) -> float:
    settings = {"num_inference_steps": draw.sampler.steps, "guidance_scale": draw.guidance}
    for batch in clock:
        generators = [torch.Generator(clock.device).manual_seed(sample.seed) for sample in batch]
        texts = [sample.prompt.text for sample in batch]
        drawn = pipeline(texts, height=draw.side, width=draw.side, generator=generators, **settings)
        for image in drawn.images:
            image.save(io.BytesIO(), format="png")
    return clock.rate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cuda")
    for name, default in {"width": 1.0, "side": 512, "batch": 16, "steps": 25, "rounds": 8}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        root, device = Path(scratch), options.device
        folder = options.model or root / "model"
        if not folder.exists():
            build(folder, options.width, device)
        sampler = DpmSolverPlusPlus(kind="dpmsolver++", steps=options.steps)
        plain = job_of(folder, options.side, options.batch, sampler)
        draw = replace(plain, precision="bf16", compiled=options.compile)
        per_prompt = -(-(options.rounds + 1) * options.batch // len(PROMPTS))
        plan = SamplePlan(PROMPTS, [per_prompt] * len(PROMPTS), Work(root).seed_for)
        given = batches(plan, options.batch)[: options.rounds + 1]
        rates = {"ours": ours(draw, Clock(given, device), plan, root)}
        pipeline: Any = load_pipeline(folder, device).to(torch.bfloat16)
        pipeline.scheduler = sampler.fitted(pipeline.scheduler.config)
        if options.compile:
            compile_graphs(pipeline.unet, device)
        rates |= {way.__name__: way(draw, Clock(given, device), pipeline) for way in (bare, call)}
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
