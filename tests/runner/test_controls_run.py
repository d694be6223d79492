"""Controls from recipe to report: a tiny run with all three, and one that cannot carry two of them."""

import json
from collections import Counter

import pytest
from shown_report import in_terminal
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.artifacts import Prompts, Samples, TrainingSet
from mep.recipe import load_recipe
from mep.recipe.controls import CONTROL_ARMS, NEGATIVE, POSITIVE, SHUFFLED
from mep.report import comparison
from mep.report.data.arms import read_arms
from mep.report.tables.assay import assay_of
from mep.runner.run import run
from mep.store import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("controls")
    folder = draw_imagefolder(root / "images")
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rows = [json.dumps(line | {"darkness": number * 0.1}) for number, line in enumerate(lines)]
    (folder / "metadata.jsonl").write_text("\n".join(rows) + "\n")
    settings = tiny_settings(folder) | {"controls": ["negative", "shuffled", "positive"]}
    settings["dataset"]["truth"] = "darkness"
    settings["clustering"]["method"]["k"] = 4  # two clusters find the labels, which leaves nothing to shuffle,
    settings["balancing"] = {"method": "none"}  # and so does keeping the largest cluster of each label
    settings["metrics"] = {"extractors": ["random_conv"], "scores": ["kid"]}
    settings["utility"] = {"probe": "none"}
    store = Store(root / "runs")
    run_id = run(load_recipe(write_recipe(root / "tiny.yaml", settings)), store)
    return store, run_id, {arm.name: arm.used for arm in read_arms(store, [run_id])}


def load(finished, kind, arm):
    store, _, used = finished
    stage = {Prompts: "prompts", TrainingSet: "balancing", Samples: "generation"}[kind]
    return store.load(kind, used[arm][stage], None)


def test_all_arms_are_trained_on_the_very_same_images(finished):
    _, _, used = finished
    assert list(used) == ["label-only", "mep", *CONTROL_ARMS]
    assert len({arm["balancing"] for arm in used.values()}) == 1
    ids = set(load(finished, TrainingSet, "mep").ids)
    assert all(set(load(finished, Prompts, arm).of_image) == ids for arm in used)
    assert len({arm["training"] for arm in used.values()}) == 5
    assert used[NEGATIVE]["prompts"] == used["label-only"]["prompts"]


def test_shuffled_captions_are_as_many_of_each_kind_on_other_images(finished):
    mep, shuffled = (load(finished, Prompts, arm) for arm in ("mep", SHUFFLED))
    counted = [{prompt.id: prompt.n_images for prompt in one.prompts} for one in (mep, shuffled)]
    assert counted[0] == counted[1]
    assert shuffled.n_renamed > 0


def test_the_positive_control_draws_its_steps_as_it_saw_them(finished):
    prompts = load(finished, Prompts, POSITIVE).prompts
    steps = Counter()
    for prompt in prompts:
        steps[prompt.columns["truth"]] += prompt.n_images
    assert set(steps) == {str(step) for step in range(1, 11)}
    assert max(steps.values()) - min(steps.values()) <= 1
    assert any(prompt.text.endswith("tissue, darkness ten") for prompt in prompts)
    for arm in ("label-only", POSITIVE):
        assert Counter(row["label"] for row in load(finished, Samples, arm).rows) == {"cancer": 5, "healthy": 5}


def test_the_report_opens_with_the_assay(finished):
    store, run_id, _ = finished
    found = comparison(store, [run_id])
    assay = assay_of(found)
    assert [row.control for row in assay.rows] == ["negative", "shuffled", "positive"]
    assert assay.valid is None
    assert "1 training an arm, at least 3 are needed" in assay.sentence
    assert in_terminal(found).lstrip().startswith("Assay not judged: negative control")
    best = [label for metric in found.metrics for label in metric.best]
    assert not set(best) & set(CONTROL_ARMS)


def test_running_again_makes_nothing(finished):
    store, run_id, _ = finished
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml")
    again = run(recipe, store)
    made = store.db.query("SELECT COUNT(*) AS n FROM uses WHERE run_id = ? AND how = 'made'", again)
    assert made[0]["n"] == 0


def test_what_cannot_be_carried_is_explained_and_the_run_ends(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images")) | {"controls": ["shuffled", "positive"]}
    settings["metrics"] = {"extractors": ["random_conv"], "scores": ["kid"]}
    settings["utility"] = {"probe": "none"}
    store = Store(tmp_path / "runs")
    run_id = run(load_recipe(write_recipe(tmp_path / "tiny.yaml", settings)), store)
    shown = {row.control: row.told for row in assay_of(comparison(store, [run_id])).rows}
    assert shown["positive"] == "not run: the recipe names no dataset.truth"
    assert shown["shuffled"] == "nothing: every label has one cluster, so that there was nothing to shuffle"
