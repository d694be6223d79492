"""Optimizers and schedules: what they step with, and what is evaluated."""

import pytest
import torch
from pydantic import ValidationError
from training_parts import COMMON

from mep.errors import EnvironmentLacks
from mep.sections.training import TrainingConfig
from mep.stages.training.optimizers import ScheduleFreeMean, build_optimizer, rate_of


def config(**settings):
    return TrainingConfig.model_validate(COMMON | settings)


def stepped(settings, n=5, start=0.5):
    """Weights after n steps towards zero, the optimizer, and the rates that these steps had."""
    weights = [torch.nn.Parameter(torch.full((3, 2), start)), torch.nn.Parameter(torch.full((4,), start))]
    optimizer, schedule = build_optimizer(config(**settings), weights)
    rates = []
    for _ in range(n):
        rates.append(rate_of(optimizer))
        optimizer.zero_grad()
        sum((weight**2).sum() for weight in weights).backward()
        optimizer.step()
        schedule.step()
    return weights, optimizer, rates


@pytest.mark.parametrize("optimizer", ["adamw", "schedule_free", "prodigy"])
def test_a_constant_rate_is_warmed_up(optimizer):
    settings = {"learning_rate": 1e-3, "optimizer": optimizer}
    _, _, rates = stepped(settings | {"warmup_steps": 4}, n=6)
    first = 1 if optimizer == "schedule_free" else 0  # diffusers begins at zero, schedule-free one step later
    assert [rate / rates[-1] for rate in rates[:3]] == pytest.approx([(first + step) / 4 for step in range(3)])
    assert rates[4] == rates[5]
    assert stepped(settings, n=1)[2][0] > 0


def test_what_is_evaluated_is_what_the_schedule_free_optimizer_itself_would_evaluate():
    weights, optimizer, _ = stepped({"optimizer": "schedule_free", "learning_rate": 0.05})
    before = [weight.detach().clone() for weight in weights]
    with ScheduleFreeMean(weights, optimizer).applied():
        ours = [weight.detach().clone() for weight in weights]
    assert all(torch.equal(one, two) for one, two in zip(before, weights, strict=True))  # to the last bit
    optimizer.eval()
    assert all(torch.allclose(one, two, atol=1e-7) for one, two in zip(ours, weights, strict=True))
    assert not torch.allclose(ours[0], before[0])


def test_schedule_free_before_its_first_step_evaluates_the_weights_as_they_are():
    weights, optimizer, _ = stepped({"optimizer": "schedule_free"}, n=0)
    with ScheduleFreeMean(weights, optimizer).applied():
        assert torch.equal(weights[0], torch.full((3, 2), 0.5))


def test_prodigy_finds_its_learning_rate_and_says_nothing(capsys):
    _, _, rates = stepped({"optimizer": "prodigy", "learning_rate": 1.0}, n=30)
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] > 100 * rates[0]
    assert capsys.readouterr().out == ""


def test_what_an_optimizer_implies_need_not_be_said():
    assert config(optimizer="prodigy").learning_rate == COMMON["learning_rate"]  # said
    plain = {name: value for name, value in COMMON.items() if name != "learning_rate"}
    assert TrainingConfig.model_validate(plain | {"optimizer": "prodigy"}).learning_rate == 1.0
    assert config(optimizer="schedule_free").ema_decay == 0
    assert config().ema_decay == 0.999


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 1.0}, "rates of 1 and more are for prodigy"),
        ({"optimizer": "schedule_free", "schedule": "cosine"}, "schedule_free has no schedule"),
        ({"optimizer": "schedule_free", "ema_decay": 0.9}, "schedule_free averages the weights itself"),
        (
            {"optimizer": "prodigy", "weights": "bf16", "precision": "bf16"},
            "prodigy needs all weights at once",
        ),
    ],
)
def test_what_an_optimizer_cannot_do_is_told_with_the_recipe(settings, message):
    with pytest.raises(ValidationError, match=message):
        config(**settings)


def test_an_optimizer_that_is_not_installed_is_told_before_the_first_stage(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "prodigyopt", None)
    from mep.machine.settings import ONE_PROCESS

    with pytest.raises(EnvironmentLacks, match="needs the package prodigyopt, which is not installed") as caught:
        config(optimizer="prodigy").check_machine(ONE_PROCESS)
    assert "pip install 'mep[optimizers]'" in caught.value.hint
