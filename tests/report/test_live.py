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
