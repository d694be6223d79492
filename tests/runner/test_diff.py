"""What differs between recipes and runs."""

import json

from click.testing import CliRunner
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.cli.main import main
from mep.recipe import load_recipe
from mep.runner.diff import diff
from mep.runner.run import run
from mep.store import Store


def test_two_recipes_differ_in_fields_and_in_the_stages_that_depend_on_them(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images"))
    one = write_recipe(tmp_path / "one.yaml", settings)
    settings["training"]["learning_rate"] = 5e-3
    settings["arms"]["extra"] = {"seed": 2}
    other = write_recipe(tmp_path / "other.yaml", settings)
    found = diff(Store(tmp_path / "runs"), str(one), str(other))
    assert found["arms"] == [{"arm": "extra", "only in": str(other)}]
    assert found["fields"] == [{"arm": "all", "field": "training.learning_rate", "a": 1e-3, "b": 5e-3}]
    assert {row["arms"] for row in found["stages"]} == {"all"}
    assert [row["stage"] for row in found["stages"]][:3] == ["training", "guidance", "generation"]
    assert not {"dataset", "prompts", "latents"} & {row["stage"] for row in found["stages"]}


def test_two_runs_differ_in_numbers_too(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images", n=60))
    settings["dataset"]["holdout"]["fraction"] = 0.4
    settings["generation"]["allocation"]["images"] = 12
    recipe = write_recipe(tmp_path / "tiny.yaml", settings)
    store = Store(tmp_path / "runs")
    one = run(load_recipe(recipe), store)
    other = run(load_recipe(recipe, ["arms.mep.generation.guidance=4"]), store)
    found = diff(store, one, other)
    assert [(row["arm"], row["field"], row["b"]) for row in found["fields"]] == [("mep", "generation.guidance", 4)]
    assert {row["arm"] for row in found["scores"]} == {"mep"}
    moved = next(row for row in found["scores"] if row["metric"] == "fd" and row["subject"] == "samples")
    assert moved["difference"] == moved["b"] - moved["a"] != 0
    shown = CliRunner().invoke(main, ["--runs", str(store.root), "diff", one, other, "--exit-code", "--json"])
    assert (shown.exit_code, json.loads(shown.stdout)) == (1, found)
    same = CliRunner().invoke(main, ["--runs", str(store.root), "diff", one, one, "--exit-code"])
    assert (same.exit_code, same.stdout) == (0, "nothing differs\n")
