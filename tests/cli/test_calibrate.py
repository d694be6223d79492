"""`mep calibrate`: before any training, on the sample data set, and reused by a run."""

import json

import pytest
from click.testing import CliRunner
from small_data import write_recipe

from mep.cli.main import main
from mep.recipe import load_recipe
from mep.runner.plan import make_plan
from mep.store import Store

SETTINGS = {
    "mep": 2,
    "name": "sight",
    "modality": "histopathology",
    "dataset": {"source": {"kind": "sample", "tile_px": 48}, "label": "stain", "holdout": {"splits": ["heldout"]}},
    "outliers": {"method": "none"},
    "training": {"base": {"kind": "scratch", "resolution": 16}, "steps": 1},
    "generation": {"allocation": {"kind": "per_label", "images": 16}},
    "metrics": {"extractors": [{"kind": "random_conv", "width": 8}]},
    "arms": {"a": {"prompts": {"template": "{label}"}}, "b": {"prompts": {"template": "{label} {cluster}"}}},
    "machine": {"device": "cpu"},
}


def mep(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    root = tmp_path_factory.mktemp("calibrated")
    recipe = write_recipe(root / "sight.yaml", SETTINGS)
    done = mep("--runs", root / "runs", "calibrate", recipe)
    assert done.exit_code == 0, done.output
    return root / "runs", recipe, done


def test_it_makes_two_stages_for_all_arms_and_no_run(calibrated):
    runs, recipe, done = calibrated
    assert "2 arms, 2 stages: 2 to run" in done.stderr
    statuses = {task.stage.name: task.status for task in make_plan(load_recipe(recipe), Store(runs)).tasks}
    assert [name for name, status in statuses.items() if status == "reuse"] == ["dataset", "calibration"]
    assert Store(runs).db.query("SELECT * FROM runs") == []


def test_it_prints_a_dose_for_every_metric_and_a_sentence_and_writes_the_picture(calibrated):
    runs, _, done = calibrated
    assert "random_conv, 32 images: noticed from this dose on" in done.stdout
    for start in ("harm", "blur (px)", "swapped labels (%)", "random_conv at n = 32: kid notices"):
        assert any(line.startswith(start) for line in done.stdout.splitlines()), start
    assert max(map(len, done.stdout.split("random_conv at n")[0].splitlines())) <= 80
    picture = (runs / "calibration-sight.svg").read_text()
    assert picture.count("data:image/png") == 5 + 5 + 5 + 5 + 4
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_a_second_call_reuses_it_and_prints_every_effect_as_json(calibrated):
    runs, recipe, _ = calibrated
    again = mep("--runs", runs, "calibrate", recipe, "--json")
    assert "2 to reuse" in again.stderr
    (row,) = json.loads(again.stdout)
    assert row["arms"] == ["a", "b"]
    assert {"metric", "harm", "dose", "effect", "noise", "power", "noticed"} <= row["effects"][0].keys()
