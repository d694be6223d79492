"""Columns of numbers cut into steps, for captions and for balancing."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from small_data import tiny_settings, write_recipe

from mep.cli.main import main
from mep.errors import DataError
from mep.methods.sources import Record
from mep.stages.dataset.columns import in_steps


def step(value, width):
    return in_steps([Record("a.png", "", {"age": value, "sex": "f"})], {"age": width})[0].metadata


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (61, 10, "60 to 69"),
        (60, 10, "60 to 69"),
        ("69.5", 10, "60 to 69"),
        (-3, 10, "-10 to -1"),
        (2, 1, "2"),
        (0.31, 0.1, "0.3 to 0.4"),
        (0.3, 0.1, "0.3 to 0.4"),  # 0.3 / 0.1 is a little less than 3
        (None, 10, None),
        (float("nan"), 10, None),
    ],
)
def test_a_number_becomes_the_step_that_it_lies_in(value, width, text):
    assert step(value, width) == {"age": text, "sex": "f"}


@pytest.mark.parametrize("value", ["old", float("inf")])
def test_what_is_no_number_is_told(value):
    with pytest.raises(DataError, match=r"a\.png has \w+ in column 'age', which is no number"):
        step(value, 10)


def test_captions_and_balancing_use_the_steps(imagefolder, tmp_path):
    lines = [json.loads(line) for line in (imagefolder / "metadata.jsonl").read_text().splitlines()]
    ages = np.random.default_rng(0).integers(60, 80, len(lines)).tolist()
    rows = [json.dumps(line | {"age": age}) for line, age in zip(lines, ages, strict=True)]
    (imagefolder / "metadata.jsonl").write_text("\n".join(rows))
    settings = tiny_settings(imagefolder)
    settings["dataset"]["columns"] = [{"age": 10}]
    settings["balancing"] = {"method": {"kind": "capped", "max_images": 6}, "by": ["label", "age"]}
    settings["prompts"]["template"] = "{label} tissue of a patient aged {age}"
    settings["arms"] = {"label-only": {"prompts": {"template": "{label} tissue"}}, "mep": {}}
    recipe = write_recipe(tmp_path / "aged.yaml", settings)
    done = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), "run", str(recipe)])
    assert done.exit_code == 0, done.output
    store = tmp_path / "runs" / "store"
    text = "".join(path.read_text() for path in (store / "generation").rglob("metadata.jsonl"))
    assert "cancer tissue of a patient aged 60 to 69" in text
    assert "healthy tissue of a patient aged 70 to 79" in text
    groups = json.loads(next((store / "balancing").rglob("groups.json")).read_text())
    assert {group["picked"] for group in groups} == {6}
    assert len(groups) == 4
