"""What drawing asks of the device, counted: passes of the model, captions, copies and waits."""

from collections import Counter

import pytest
import torch
from counting import DEVICE, Counting
from generation_parts import PROMPTS, images, model  # noqa: F401  (fixtures)

from mep.diffusion.families.stable_diffusion import StableDiffusion
from mep.diffusion.pipelines import lay_out, load_part
from mep.machine.transfer import Lane
from mep.machine.work import Work
from mep.methods.samplers.euler import Euler
from mep.stages.generation import worker_job
from mep.stages.generation.schedule import SamplePlan
from mep.stages.generation.worker_job import DrawJob


@pytest.fixture
def drawing(model, tmp_path, monkeypatch):
    """What draws a batch of four on a device of which every copy to it is seen, and what was counted on the way."""
    seen, real = Counter(), (StableDiffusion.encode, worker_job.load_pipeline)

    def encode(family, parts, texts, side):
        seen["encode"] += 1
        return real[0](family, parts, texts, side)

    def load(*args, **settings):
        pipeline = real[1](*args, **settings)
        pipeline.unet.register_forward_hook(lambda module, given, made: seen.update(passes=1, images=len(given[0])))
        return pipeline

    monkeypatch.setattr(StableDiffusion, "encode", encode)
    monkeypatch.setattr(worker_job, "load_pipeline", load)
    settings = {"sampler": Euler(kind="euler", steps=3), "guidance": 2, "side": 16, "saved_side": 16, "batch_size": 4}
    job = DrawJob(pipeline=model.pipeline, **settings)
    plan = SamplePlan(PROMPTS.prompts, [4, 4], Work(tmp_path).seed_for)
    draw = job.prepare(DEVICE)
    return job, lambda *numbers: draw([plan.sample(number) for number in numbers]), seen


def test_guidance_is_one_pass_of_twice_as_many_images_a_step(drawing):
    _, draw, seen = drawing
    draw(0, 1, 4, 5)
    assert (seen["passes"], seen["images"]) == (3, 3 * 2 * 4)


def test_a_caption_is_encoded_once_and_stays_on_the_device(drawing):
    _, draw, seen = drawing
    draw(0, 1, 4, 5)
    draw(2, 3, 6, 7)
    assert seen["encode"] == 3  # two captions and the empty one


def test_a_batch_is_sent_and_fetched_once_and_pixels_are_waited_for_on_another_thread(drawing, monkeypatch):
    job, draw, _ = drawing
    ways = Counter()
    for name in ("send", "fetch"):
        real = getattr(Lane, name)
        monkeypatch.setattr(Lane, name, lambda *args, name=name, real=real: ways.update([name]) or real(*args))
    draw(0, 1, 4, 5)
    with Counting() as counted:
        batch, returned = draw(2, 3, 6, 7)
    assert ways == {"send": 2, "fetch": 2}
    assert [name for name in counted.draws if name != "dropout"] == [
        "randn"
    ] * 4  # the noise of every image from its own seed, on the CPU
    assert counted.copies.count(DEVICE) <= 3  # noise, and the sampler's times and levels
    assert len(counted.waits) <= 8  # for levels of noise, which the sampler keeps on the CPU
    assert returned.tensors["pixels"].dtype == torch.uint8  # a quarter of what was copied as float32
    assert [sample.number for sample in job.finish((batch, returned))] == [2, 3, 6, 7]


def test_channels_last_on_a_gpu_changes_neither_a_prediction_nor_a_file(model, tmp_path):
    plain, laid = (load_part(model.pipeline, "unet", "cpu") for _ in range(2))
    lay_out(laid, "cuda")
    assert laid.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert not plain.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    given = torch.randn(2, 2, 8, 8), torch.tensor([3, 3]), torch.randn(2, 20, 16)
    with torch.inference_mode():
        assert torch.allclose(laid(*given).sample, plain(*given).sample, rtol=1e-4, atol=1e-5)
    for name, unet in (("plain", plain), ("laid", laid)):
        unet.save_pretrained(tmp_path / name, safe_serialization=True)
    files = [tmp_path / name / "diffusion_pytorch_model.safetensors" for name in ("plain", "laid")]
    assert files[0].read_bytes() == files[1].read_bytes()
