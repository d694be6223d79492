"""What a step asks of the device: held by counts of copies, waits, draws and operations, which no clock disturbs."""

import numpy as np
import pytest
import torch
from counting import DEVICE, Counting
from training_parts import COMMON, Inputs

from mep.diffusion import encoding
from mep.diffusion.pipelines import load_part
from mep.machine.work import Work
from mep.sections.training import TrainingConfig
from mep.stages.training.ahead import AHEAD, BatchesAhead
from mep.stages.training.batches import TrainingInputs
from mep.stages.training.build import assemble


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def setup_of(inputs, tmp_path):
    """A training on a device of which every copy to it is seen."""
    setups = []

    def build(**settings):
        config = TrainingConfig.model_validate(COMMON | settings)
        work = Work(folder=tmp_path / "training", cache=tmp_path / "cache", seed=3)
        work.__dict__["device"] = DEVICE
        latents = inputs.latents(config, inputs.base, tmp_path)
        given = TrainingInputs(inputs.images, inputs.training_set, inputs.prompts, inputs.base, latents)
        setups.append(assemble(config, given, work))
        return setups[-1]

    yield build
    for setup in setups:
        setup.step.ahead.close()


def count(function):
    with Counting() as counted:
        function()
    return counted


def bare_step(inputs):
    """Forward and backward pass, clipping and AdamW, on tensors that are there."""
    unet = load_part(inputs.base.pipeline, "unet", "cpu").train()
    optimizer = torch.optim.AdamW(unet.parameters(), fused=True)
    noisy, captions = torch.randn(5, 2, 8, 8), torch.randn(5, 20, 16)
    times, noise = torch.zeros(5, dtype=torch.int64), torch.randn(5, 2, 8, 8)

    def step():
        torch.nn.functional.mse_loss(unet(noisy, times, captions).sample, noise).backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    return step


PLAIN = {"ema_decay": 0}
CASES = {
    "plain": (PLAIN, 36),
    "average, min-SNR, perturbed": ({"snr_gamma": 5.0, "input_perturbation": 0.1, "noise_offset": 0.1}, 44),
    "bf16": (PLAIN | {"precision": "bf16"}, None),
}


@pytest.mark.parametrize(("settings", "more"), CASES.values(), ids=CASES.keys())
def test_a_step_copies_nothing_waits_for_nothing_and_draws_nothing(inputs, setup_of, settings, more):
    setup = setup_of(**settings)
    setup.step(0)
    ours, bare = count(lambda: setup.step(1)), count(bare_step(inputs))
    assert (ours.copies, ours.waits, ours.draws) == ([], [], [])
    if more is not None:
        assert ours.launches <= bare.launches + more  # noise, captions, target, error and their gradient


def test_micro_batches_are_parts_of_what_was_sent_once(setup_of):
    setup = setup_of()
    setup.step.micro_batch = 2
    setup.step(0)
    assert count(lambda: setup.step(1)).copies == []


def test_a_batch_is_sent_once_by_another_thread_before_its_step_begins(setup_of, monkeypatch):
    counts, real = {}, BatchesAhead._prepare

    def prepare(ahead, step):
        with Counting() as counts[step]:
            return real(ahead, step)

    monkeypatch.setattr(BatchesAhead, "_prepare", prepare)
    setup = setup_of(noise_offset=0.1)
    setup.step(0)
    for future in setup.step.ahead.waiting.values():
        future.result()
    assert sorted(counts) == list(range(AHEAD + 1))
    for counted in counts.values():
        assert counted.copies == [DEVICE] * 4  # clean, noise, times and rows of captions: these lie on the device


def test_no_batch_is_made_that_no_step_takes(setup_of):
    setup = setup_of()
    setup.step.ahead(5)  # of six steps the last
    assert setup.step.ahead.waiting == {}


def test_captions_that_do_not_fit_on_the_device_are_sent_each_but_once(setup_of, monkeypatch):
    plain = setup_of(caption_dropout=0.5).step.ahead(0)
    monkeypatch.setattr(encoding, "ON_DEVICE", 0)
    setup = setup_of(caption_dropout=0.5)
    batch = setup.step.ahead(0)
    assert setup.encoded.captions.table == {}
    assert len(batch.table["states"]) == len(np.unique(plain.captions)) < len(batch)
    assert torch.equal(batch.condition["states"], plain.condition["states"])


def test_a_batch_that_cannot_be_made_is_told_by_its_step(setup_of, monkeypatch):
    setup = setup_of()
    monkeypatch.setattr(setup.encoded, "read", lambda ids, turns: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        setup.step(0)
