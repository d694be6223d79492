"""A run that goes on, as `mep watch` shows it."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from drawn_run import RUN
from hypothesis import given
from hypothesis import strategies as st

from mep.cli.main import main
from mep.machine.files import append_json_line
from mep.report import (
    live,
)
from mep.store import locks


def test_watching_tells_the_stage_its_pace_and_its_loss(drawn):
    drawn.shared_stages()
    artifact_id = "training/" + "f" * 32
    began = datetime.now(UTC) - timedelta(seconds=60)
    with drawn.store.db.write() as db:
        row = {"run_id": RUN, "artifact_id": artifact_id, "why": "first time", "state": "running"}
        db.table("attempts").insert(row | {"started_at": began.isoformat(), "arms": '["mep"]'})
    work = drawn.store.work_folder(artifact_id)
    for step in range(100):
        append_json_line(make(work) / "training.jsonl", {"step": step, "loss": 1 - step / 100})
    with (drawn.store.run_folder(RUN) / "log.txt").open("a") as log:
        for seconds, done in ((20, 100), (50, 250)):
            at = (began + timedelta(seconds=seconds)).isoformat()
            log.write(f"{at} training[mep] {done}/1000 loss 0.5\n")
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


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
