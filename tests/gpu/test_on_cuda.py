"""What only a GPU can show. `scripts/gpu-check` runs these and the timings; without a device they are skipped."""

import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from generation_parts import draw, images, model  # noqa: F401  (fixtures)
from machines import machine, stopping_after
from small_data import draw_imagefolder, tiny_settings, write_recipe
from tiny_families import TINY_DIT, build_sd3, build_sdxl
from training_parts import Inputs, setup_of

from mep.errors import Interrupted
from mep.machine.random_bits import random_16_bits
from mep.methods.bases.dit import Dit
from mep.methods.bases.pretrained import Pretrained

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason=f"torch {torch.__version__} sees no CUDA device"),
]
ON_GPU = machine(device="cuda")
setup_on_gpu = partial(setup_of, machine=ON_GPU, steps=40)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


def test_random_bits_are_those_of_a_cpu():
    there = random_16_bits(100_001, seed=7, start=3, device="cuda")
    assert torch.equal(there.cpu(), random_16_bits(100_001, seed=7, start=3))


@pytest.mark.parametrize("settings", [{}, {"precision": "bf16"}], ids=["fp32", "bf16"])
def test_a_step_waits_for_nothing(inputs, tmp_path, settings):
    setup = setup_on_gpu(inputs, tmp_path, **settings)
    for number in range(3):
        setup.step(number)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")  # what waits for the device raises
    try:
        setup.step(3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        setup.step.ahead.close()


def test_a_step_copies_its_batch_in_four_pieces_and_nothing_back(inputs, tmp_path):
    setup = setup_on_gpu(inputs, tmp_path)
    setup.step(0)
    torch.cuda.synchronize()
    n_steps = 10
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for number in range(1, 1 + n_steps):
            setup.step(number)
        torch.cuda.synchronize()
    setup.step.ahead.close()
    names = [event.name for event in profile.events()]
    assert sum("Memcpy HtoD" in name for name in names) <= 4 * (n_steps + 2)
    assert sum("Memcpy DtoH" in name for name in names) == 0


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "adafactor", "weights": "bf16", "precision": "bf16"}, {"method": "lora", "precision": "bf16"}],
    ids=["fp32", "bf16 weights", "lora"],
)
def test_a_training_that_is_stopped_twice_ends_with_the_same_bytes(inputs, tmp_path, settings):
    def files(trained):
        return {path.relative_to(trained.folder): path.read_bytes() for path in trained.folder.rglob("*.safetensors")}

    calm, _ = inputs.train(tmp_path / "calm", machine=ON_GPU, **settings)
    for n_looks in (2, 1):
        work = {"stop_signal": stopping_after(n_looks)}
        with pytest.raises(Interrupted):
            inputs.train(tmp_path / "stormy", machine=ON_GPU, work=work, **settings)
    stormy, _ = inputs.train(tmp_path / "stormy", machine=ON_GPU, **settings)
    assert files(calm) == files(stormy)
    assert calm.losses == stormy.losses


def test_losses_are_those_of_a_cpu_but_for_rounding(inputs, tmp_path):
    _, there = inputs.train(tmp_path / "gpu", machine=ON_GPU)
    _, here = inputs.train(tmp_path / "cpu")
    assert there == pytest.approx(here, rel=1e-3)


def test_a_compiled_step_has_the_same_loss(inputs, tmp_path):
    _, plain = inputs.train(tmp_path / "plain", machine=ON_GPU)
    _, compiled = inputs.train(tmp_path / "compiled", machine=machine(device="cuda", compile=True))
    assert compiled == pytest.approx(plain, rel=1e-3)
    assert any((tmp_path / "compiled" / "cache" / "graphs").rglob("*"))


def test_convolutions_lie_channels_last(inputs, tmp_path):
    setup = setup_on_gpu(inputs, tmp_path)
    weight = setup.model.denoiser.core.conv_in.weight
    setup.step.ahead.close()
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_images_drawn_twice_have_the_same_bytes(draw, tmp_path):
    one, two = (draw(tmp_path / name, device="cuda") for name in ("one", "two"))
    files = [sorted((samples.folder / "images").rglob("*.png")) for samples in (one, two)]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


@pytest.mark.parametrize("family", ["sdxl", "sd3", "pixart"])
def test_every_family_trains_and_draws_in_bf16(draw, inputs, tmp_path, family):
    hub = tmp_path / "hub"
    if family == "pixart":
        config = Dit.model_validate(TINY_DIT)
    else:
        {"sdxl": build_sdxl, "sd3": build_sd3}[family](hub)
        config = Pretrained(kind="pretrained", path=hub, resolution=16)
    base = inputs.build(config, f"{family} on cuda")
    trained, losses = inputs.train(tmp_path / "trained", base=base, machine=ON_GPU, precision="bf16")
    samples = draw(tmp_path / "samples", device="cuda", model=trained, precision="bf16")
    assert np.isfinite(losses).all()
    assert len(samples.rows) == 6


def test_fp16_leaves_out_a_step_that_overflows_and_goes_on(inputs, tmp_path):
    setup = setup_on_gpu(inputs, tmp_path, precision="fp16")
    setup.step.scaler._init_scale = 2.0**40  # far beyond what a gradient in half precision can hold
    before = [weights.clone() for weights in setup.step.parameters]
    scalars = setup.step(0)
    assert not torch.isfinite(scalars["gradient_norm"])
    assert all(torch.equal(now, then) for now, then in zip(setup.step.parameters, before, strict=True))
    for number in range(1, 30):
        scalars = setup.step(number)
    setup.step.ahead.close()
    assert torch.isfinite(scalars["gradient_norm"])
    assert any(not torch.equal(now, then) for now, then in zip(setup.step.parameters, before, strict=True))


def test_a_run_that_is_killed_on_the_gpu_ends_with_the_same_bytes(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images"), training_steps=200)
    settings["machine"] |= {"device": "cuda", "checkpoint_every_s": 0.1, "deterministic": True}
    recipe = write_recipe(tmp_path / "recipe.yaml", settings)
    found = []
    for name in ("calm", "stormy"):
        runs = tmp_path / name
        command = [sys.executable, "-m", "mep", "run", str(recipe), "--runs", str(runs)]
        if name == "stormy":
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
                while not list(runs.glob("work/training/*/training/*.pt")) and process.poll() is None:
                    time.sleep(0.01)
                process.kill()
            assert process.returncode == -signal.SIGKILL
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        models = sorted(runs.glob("store/training/**/*.safetensors"))
        found.append([path.read_bytes() for path in models])
    assert found[0]
    assert found[0] == found[1]
