"""What one run has made enters another as if it came from elsewhere, and gives the same numbers."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_data import REPOSITORY, draw_imagefolder, tiny_settings, write_recipe

from mep.artifacts import Assignment, Clusters, Embeddings, HeldOutEmbeddings, Inliers, Prompts, Scores
from mep.errors import DataError
from mep.recipe import load_recipe
from mep.report.data.arms import read_arms
from mep.runner.plan import make_plan
from mep.runner.run import run
from mep.store import Store


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run; its folder, its recipe's settings, and the artifacts of its arm `mep` by stage."""
    root = tmp_path_factory.mktemp("elsewhere")
    settings = tiny_settings(draw_imagefolder(root / "images"))
    settings["outliers"] = {"method": {"kind": "isolation_forest", "share": 0.1}}
    settings["dataset"]["validation"] = {"fraction": 0.1}
    settings["utility"] = {"probe": "none"}
    settings["arms"] = {"mep": {}}
    store = Store(root / "runs")
    return root, settings, artifacts(store, run(load_recipe(write_recipe(root / "first.yaml", settings)), store))


def artifacts(store, run_id):
    recipe = load_recipe(store.run_folder(run_id) / "recipe.lock.yaml")
    (used,) = [arm.used for arm in read_arms(store, [run_id])]
    tasks = make_plan(recipe, store).of_arm("mep")
    assert {name: task.artifact_id for name, task in tasks.items()} == used
    return {name: store.load(task.stage.output, task.artifact_id, task.config) for name, task in tasks.items()}


def written_out(root, made):
    """The run's vectors, outliers, clusters and captions as tables that know nothing of mep."""
    embeddings: Embeddings = made["embedding"]
    heldout: HeldOutEmbeddings = made["heldout"]
    np.save(root / "v.npy", np.concatenate([embeddings.vectors, heldout.vectors["original"]]))
    (root / "ids.txt").write_text("\n".join([*embeddings.ids, *heldout.ids]))
    inliers: Inliers = made["outliers"]
    names = [name for name, keep in zip(inliers.ids, inliers.mask, strict=True) if not keep]
    (root / "exclude.txt").write_text("\n".join(names))
    clusters: Clusters = made["clustering"]
    assignment: Assignment = made["assignment"]
    numbers = [*clusters.labels.tolist(), *assignment.parts["heldout"][:, 0].tolist()]
    rows = zip([*clusters.ids, *assignment.ids["heldout"]], numbers, strict=True)
    (root / "types.csv").write_text("id,cluster\n" + "".join(f"{name},{number}\n" for name, number in rows))
    captions = {name: made["prompts"].prompts[place].text for name, place in made["prompts"].of_image.items()}
    pq.write_table(pa.table({"id": list(captions), "text": list(captions.values())}), root / "captions.parquet")


def values(scores: Scores):
    rows = [row.to_json() for row in scores.rows]
    return {
        (row["metric"], row["subject"], row["reference"], row["group"]): (row["value"], row["se"])
        for row in rows
        if "adherence" not in row["metric"]
    }


def test_vectors_outliers_and_clusters_of_another_run_give_its_numbers_to_the_last_digit(first):
    root, settings, made = first
    written_out(root, made)
    changed = settings | {
        "name": "second",
        "embedding": {"model": {"kind": "table", "path": "v.npy", "ids": "ids.txt"}},
        "outliers": {"method": {"kind": "given", "path": "exclude.txt"}},
        "clustering": {"method": {"kind": "given", "path": "types.csv"}},
    }
    store = Store(root / "runs")
    again = artifacts(store, run(load_recipe(write_recipe(root / "second.yaml", changed)), store))
    assert np.array_equal(again["clustering"].labels, made["clustering"].labels)
    assert not made["outliers"].mask.all()
    assert values(again["metrics"]) == values(made["metrics"])
    blind = [row.to_json() for row in again["metrics"].rows if "adherence" in row.metric]
    assert {(row["value"], row["reason"]) for row in blind} == {
        (None, "the embeddings come from a table, which has none of new images")
    }


def test_given_captions_train_the_model_that_the_template_trained(first):
    root, settings, made = first
    written_out(root, made)
    changed = settings | {"name": "third"}
    changed["prompts"] = settings["prompts"] | {"method": {"kind": "given", "path": "captions.parquet"}}
    store = Store(root / "runs")
    again = artifacts(store, run(load_recipe(write_recipe(root / "third.yaml", changed)), store))
    assert [row["loss"] for row in again["training"].losses] == [row["loss"] for row in made["training"].losses]
    assert {row["label"] for row in again["generation"].rows} == {"cancer", "healthy"}
    assert len(again["generation"]) == len(made["generation"])


def test_what_changed_in_a_table_is_made_again_and_where_it_lies_is_not(first):
    root, settings, made = first
    written_out(root, made)
    changed = settings | {"clustering": {"method": {"kind": "given", "path": "types.csv"}}}
    (root / "moved").mkdir(exist_ok=True)
    store = Store(root / "runs")

    def fingerprint(path):
        changed["clustering"]["method"]["path"] = path
        return make_plan(load_recipe(write_recipe(root / "fourth.yaml", changed)), store).of_arm("mep")["clustering"]

    (root / "moved" / "t.csv").write_bytes((root / "types.csv").read_bytes())
    before, moved = fingerprint("types.csv"), fingerprint("moved/t.csv")
    assert before.fingerprint == moved.fingerprint
    (root / "moved" / "t.csv").write_text("id,cluster\n" + "".join(f"{name},0\n" for name in made["clustering"].ids))
    assert fingerprint("moved/t.csv").fingerprint != before.fingerprint


def test_a_table_that_does_not_fit_the_images_stops_with_one_message(first):
    root, settings, _ = first
    (root / "few.csv").write_text("id,f0,f1\n00.png,1,2\n01.png,2,1\n")
    model = {"kind": "table", "path": "few.csv", "columns": ["f*"]}
    recipe = load_recipe(write_recipe(root / "few.yaml", settings | {"embedding": {"model": model}}))
    with pytest.raises(DataError, match=r"few.csv has no vector of \d+ of \d+ images: ") as caught:
        run(recipe, Store(root / "runs"))
    assert "dataset.exclude" in caught.value.hint
    assert json.dumps(recipe.arms["mep"].embedding.model.dump())


def test_the_recipe_of_the_gallery_runs_with_its_tables(tmp_path):
    quick = ["training.steps=2", "training.watch.looks=1", "training.watch.prompts=1", "training.watch.steps=1"]
    quick += [
        "generation.allocation.images=4",
        "generation.sampler={kind: dpmsolver++, steps: 1}",
        "generation.guidance=1",
    ]
    quick += ["training.base.unet={channels: [8, 8], attention: [false, false], head_channels: 8}"]
    quick += ["metrics={extractors: [random_conv], scores: [kid], calibrate: false}", "utility.probe=none"]
    store = Store(tmp_path / "runs")
    run_id = run(load_recipe(REPOSITORY / "recipes/made-elsewhere.yaml", quick), store)
    used = {arm.name: arm.used for arm in read_arms(store, [run_id])}
    names = {arm: {prompt.text for prompt in store.load(Prompts, used[arm]["prompts"], None).prompts} for arm in used}
    assert "Histology image of stained tissue, crowded epithelium" in names["types"]
    assert "Immunohistochemistry of the colon: stroma, a wide lumen" in names["captions"]
    assert len(names["label-only"]) == 2
