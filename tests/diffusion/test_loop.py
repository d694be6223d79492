"""A loop that is stopped anywhere ends as if it had not been."""

import errno

import pytest
import torch
from machines import machine, stopping_after

from mep.diffusion.checkpoints import Checkpoints
from mep.diffusion.loop import LoopSettings, LossLog, optimise
from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.machine.files import read_json_lines
from mep.machine.work import Work

STEPS = 60


def train(work, steps=STEPS, learning_rate=1e-2):
    """A small regression; gives the weights and the loss log."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))

    def step(number):
        inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(work.seed_for("inputs", number)))
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return {"loss": loss.detach()}

    state = {"model": model, "optimizer": optimizer, "schedule": schedule}
    log = optimise(work, LoopSettings("fit", steps), step, state)
    return model.weight.detach().clone(), log.read_text()


@pytest.mark.parametrize("stops", [[1], [25], [24, 3], [59], [10, 10, 10]])
def test_weights_and_losses_of_a_stopped_loop_equal_those_of_an_undisturbed_one(tmp_path, stops):
    weight, log = train(Work(folder=tmp_path / "calm"))
    for n_looks in stops:
        with pytest.raises(Interrupted):
            train(Work(folder=tmp_path / "stormy", stop_signal=stopping_after(n_looks)))
    again, log_again = train(Work(folder=tmp_path / "stormy"))
    assert torch.equal(weight, again)
    assert log == log_again
    assert [row["step"] for row in read_json_lines(tmp_path / "stormy" / "fit.jsonl")] == list(range(STEPS))


def test_a_kill_between_checkpoints_costs_only_the_steps_since(tmp_path):
    weight, log = train(Work(folder=tmp_path / "calm"))
    work = Work(folder=tmp_path / "killed", machine=machine(checkpoint_every_s=0))  # a checkpoint after every step
    train(work, steps=STEPS)
    folder = tmp_path / "killed" / "fit"
    assert len(list(folder.glob("*.pt"))) == 2
    (folder / f"{STEPS:09d}.pt").unlink()  # as if it had died before the last one
    with (tmp_path / "killed" / "fit.jsonl").open("a") as file:
        file.write('{"step": 60, "lo')  # and while it wrote a line
    again, log_again = train(work)
    assert torch.equal(weight, again)
    assert log == log_again


def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path):
    work = Work(folder=tmp_path, machine=machine(checkpoint_every_s=0))
    weight, _ = train(work)
    newest = tmp_path / "fit" / f"{STEPS:09d}.pt"
    newest.write_bytes(newest.read_bytes()[:200])
    assert torch.equal(train(work)[0], weight)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    with pytest.raises(DataError, match="training has diverged"):
        train(Work(folder=tmp_path), learning_rate=1e30)


def test_a_gradient_too_large_for_fp16_is_logged_as_none_and_training_goes_on(tmp_path):
    heard = []
    norms = {3: torch.tensor(float("inf")), 4: torch.tensor(float("nan"))}

    def step(number):
        return {"loss": torch.tensor(0.5), "gradient_norm": norms.get(number, torch.tensor(2.0))}

    log = optimise(Work(folder=tmp_path), LoopSettings("fit", 6, trackers=[heard.append]), step, {})
    assert [row["gradient_norm"] for row in read_json_lines(log)] == [2.0, 2.0, 2.0, None, None, 2.0]
    assert [sorted(row) for row in heard[2:4]] == [["gradient_norm", "loss", "step"], ["loss", "step"]]


@pytest.mark.parametrize("stop", [None, 60])
def test_a_loss_that_explodes_stops_at_the_last_good_checkpoint_also_after_a_resume(tmp_path, stop):
    def step(number):
        return {"loss": 0.2 if number < 50 else 5.0}

    work = Work(
        folder=tmp_path,
        machine=machine(checkpoint_every_s=0),
        stop_signal=stopping_after(stop) if stop else lambda: None,
    )
    if stop:
        with pytest.raises(Interrupted):
            optimise(work, LoopSettings("fit", 100), step, {})
    with pytest.raises(DataError, match=r"rose from 0.2 to 5 by step 74.*diverged") as caught:
        optimise(Work(folder=tmp_path, machine=machine(checkpoint_every_s=0)), LoopSettings("fit", 100), step, {})
    assert caught.value.field == "training.learning_rate"


def test_the_last_good_checkpoint_is_from_before_the_loss_rose(tmp_path):
    checkpoints = Checkpoints(tmp_path, every_s=0)
    for done in (40, 60):
        checkpoints.save(done, {})
    log = LossLog(tmp_path / "log.jsonl", checkpoints)
    for number in range(75):
        log.add(number, {"loss": 0.2 if number < 50 else 5.0})
    with pytest.raises(DataError, match=r"the last good checkpoint is .*000000040\.pt"):
        log.flush()


def test_checkpoints_that_take_long_to_write_are_made_less_often(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    class Slow:
        def state_dict(self):
            now[0] += 4
            return {}

    checkpoints = Checkpoints(tmp_path, every_s=30)
    now[0] = 31
    assert checkpoints.due()
    checkpoints.save(1, {"slow": Slow()})
    now[0] += 395  # 4 s are 1 % of 400
    assert not checkpoints.due()
    now[0] += 2
    assert checkpoints.due()


def test_a_disk_that_fills_up_is_told_and_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, every_s=0)
    checkpoints.save(1, {})

    def full(content, file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(EnvironmentLacks, match="the disk is full"):
        checkpoints.save(2, {})
    assert checkpoints.newest(9) == tmp_path / "000000001.pt"
