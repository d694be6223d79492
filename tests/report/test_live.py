"""A run that goes on, as `mep watch` shows it."""

import json
import re

import pytest
from click.testing import CliRunner
from drawn_run import RUN
from hypothesis import given
from hypothesis import strategies as st
from run_at_work import training_at_work

from mep.cli.main import main
from mep.report import live
from mep.report.page.running import running_page
from mep.runner.slurm_jobs import JOB
from mep.store import locks


def test_watching_tells_the_stage_its_pace_and_its_loss(drawn):
    drawn.shared_stages()
    training_at_work(drawn, n_losses=100, reached={20: 100, 50: 250})
    with locks.hold(drawn.store.run_folder(RUN) / "lock"):
        found = live.snapshot(drawn.store, None)
        done = CliRunner().invoke(main, ["--runs", str(drawn.store.root), "watch", "--once"])
    assert found.state == "running"
    assert [(one.stage, one.arms, one.done, one.total) for one in found.now] == [("training", ["mep"], 250, 1000)]
    assert found.now[0].left_s == pytest.approx(750 / 5 - 10, abs=3)  # five steps a second, ten seconds ago
    assert len(found.now[0].losses) == 100
    assert re.search(r"> training .*\[mep\].* 250/1000, .*left", done.stdout)
    assert "loss 0.0100 ███" in done.stdout
    assert "\x1b" not in done.stdout


def test_watching_a_run_that_ended_shows_it_and_ends(report, drawn):
    done = CliRunner().invoke(main, ["--runs", str(drawn.store.root), "watch"])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{RUN}  done")
    assert (
        json.loads(CliRunner().invoke(main, ["--runs", str(drawn.store.root), "watch", "--json"]).stdout)["now"] == []
    )


@given(st.lists(st.floats(-1e6, 1e6), max_size=200))
def test_a_sparkline_has_a_character_for_every_value_up_to_its_width(values):
    assert len(live.sparkline(values, 40)) == min(len(values), 40)


def test_a_falling_loss_falls_in_its_sparkline():
    assert live.sparkline([3.0, 2.0, 1.0], 3) == "█▅▁"
    assert live.sparkline([1.0], 3) == "▁"


def job_of_training(drawn, **state):
    """The training of the drawn run as a job of Slurm that was looked at a moment ago."""
    folder = training_at_work(drawn, n_losses=0, reached={})
    (folder / JOB).write_text(json.dumps({"job": "17"} | state))


def test_the_queue_of_a_run_that_goes_on_is_told_everywhere_without_asking_slurm(drawn, tmp_path, monkeypatch):
    job_of_training(drawn, state="PENDING", reason="Resources", node="")
    monkeypatch.setenv("PATH", str(tmp_path))
    runs = ["--runs", str(drawn.store.root)]
    with locks.hold(drawn.store.run_folder(RUN) / "lock"):
        told = [CliRunner().invoke(main, [*runs, *of]).output for of in (["status"], ["watch", "--once"])]
        told.append(running_page(drawn.store, live.snapshot(drawn.store, None)))
    assert [text.count("Slurm job 17: pending (Resources)") for text in told] == [1, 1, 1]


def test_jobs_that_a_run_has_left_are_asked_for_and_unknown_where_slurm_is_not(drawn, tmp_path, monkeypatch):
    job_of_training(drawn, state="PENDING", reason="Resources", node="")
    monkeypatch.setattr("mep.machine.slurm._slurm", lambda command: "16|PENDING|Priority|\n17|RUNNING|None|node[3-4]\n")
    status = ["--runs", str(drawn.store.root), "status"]
    assert "Slurm job 17: running on node[3-4]" in CliRunner().invoke(main, status).output
    stages = json.loads(CliRunner().invoke(main, [*status, "--json"]).output)["stages"]
    [stage] = [row for row in stages if "job" in row]
    assert (stage["stage"], stage["state"], stage["job"]["node"]) == ("training", "interrupted", "node[3-4]")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Slurm job 17: unknown (there is no squeue here" in CliRunner().invoke(main, status).output


def test_all_that_is_at_work_side_by_side_is_shown(drawn):
    training_at_work(drawn, n_losses=0, reached={20: 100})
    training_at_work(drawn, n_losses=0, reached={30: 200}, arm="label-only")
    with locks.hold(drawn.store.run_folder(RUN) / "lock"):
        found = live.snapshot(drawn.store, None)
    assert [(one.arms, one.done) for one in found.now] == [(["mep"], 100), (["label-only"], 200)]
