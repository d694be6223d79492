"""A lock pins what a run was run with, repeats it, and says what is not as it was."""

import re

import pytest
import yaml
from small_data import REPOSITORY, draw_imagefolder, tiny_settings, write_recipe

from mep.errors import IntegrityError
from mep.recipe import load_recipe
from mep.runner.lockfile import inputs_of, locked_of, unlike, write_lock
from mep.runner.plan import make_plan
from mep.runner.run import resume, run
from mep.store import Store


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store with one finished run, and the lock of the run."""
    root = tmp_path_factory.mktemp("locked")
    settings = tiny_settings(draw_imagefolder(root / "images"))
    settings["arms"]["few"] = {"dataset": {"holdout": {"fraction": 0.5}}}
    store = Store(root / "runs")
    run_id = run(load_recipe(write_recipe(root / "tiny.yaml", settings)), store)
    return store, store.run_folder(run_id) / "recipe.lock.yaml"


def test_a_lock_holds_versions_contents_and_counts(finished):
    _, lock = finished
    locked = yaml.safe_load(lock.read_text())["locked"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", locked["packages"]["torch"])
    assert re.fullmatch(r"[0-9a-f]{64}", locked["inputs"]["dataset.source"]["content"])
    assert locked["dataset"]["label-only, mep"]["train"] + locked["dataset"]["label-only, mep"]["held out"] == 40
    assert locked["dataset"]["few"]["held out"] == 20


def test_a_lock_that_is_run_repeats_the_run(finished):
    store, lock = finished
    plan = make_plan(load_recipe(lock), store)
    assert plan.count("reuse") == len(plan.tasks)
    assert unlike(plan.recipe, locked_of(plan.recipe, store)) == []


def test_a_run_that_is_resumed_keeps_the_lock_that_it_began_with(finished):
    store, lock = finished
    text = lock.read_text()
    torch = yaml.safe_load(text)["locked"]["packages"]["torch"]
    lock.write_text(text.replace(f"torch: {torch}", "torch: 1.0.0"))
    with store.db.write() as db:
        db.execute("UPDATE runs SET state = 'failed'")
    resume(lock.parent.name, store)
    locked = yaml.safe_load(lock.read_text())["locked"]
    lock.write_text(text)
    assert locked["packages"]["torch"] == "1.0.0"
    assert locked["dataset"]["few"]["held out"] == 20


def test_a_lock_whose_data_changed_is_not_run(finished, tmp_path):
    store, lock = finished
    other = draw_imagefolder(tmp_path / "images", n=44)
    recipe = load_recipe(lock, [f"dataset.source.path={other}"])
    ((name, before, now),) = unlike(recipe, {**recipe.locked, "inputs": inputs_of(recipe, store.hashes.of)})
    assert (name, before != now) == ("inputs.dataset.source.content", True)
    with pytest.raises(IntegrityError, match="was locked with: dataset"):
        run(recipe, store)
    assert load_recipe(lock, [f"dataset.source.path={other}", "locked=null"]).locked is None


def test_another_version_of_a_package_is_told(finished):
    store, lock = finished
    recipe = load_recipe(lock, ["locked.packages.torch=1.0.0"])
    now = locked_of(recipe, store)
    assert unlike(recipe, now) == [("packages.torch", "1.0.0", now["packages"]["torch"])]


def test_a_model_of_the_hub_is_locked_by_its_commit_and_a_branch_of_it_is_the_same_stage(tmp_path, monkeypatch):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub" / "models--someone--encoder"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    (cache / "snapshots" / commit).mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    store = Store(tmp_path / "runs")
    model = "embedding.model={kind: transformers, id: someone/encoder}"
    plan = make_plan(load_recipe(REPOSITORY / "recipes/starter.yaml", [model]), store)
    lock = tmp_path / "recipe.lock.yaml"
    write_lock(plan, store, tmp_path, locked_of(plan.recipe, store))
    written = yaml.safe_load(lock.read_text())
    assert written["embedding"]["model"]["revision"] == commit
    assert written["locked"]["inputs"]["embedding.model"] == {"model": commit}
    again = make_plan(load_recipe(lock), store)
    assert [task.artifact_id for task in again.tasks] == [task.artifact_id for task in plan.tasks]


def test_a_model_that_the_hub_does_not_give_is_told_by_the_plan_and_stops_the_run(tmp_path, monkeypatch):
    from huggingface_hub import constants

    from mep.errors import EnvironmentLacks

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    store = Store(tmp_path / "runs")
    recipe = load_recipe(
        REPOSITORY / "recipes/starter.yaml", ["embedding.model={kind: transformers, id: someone/absent}"]
    )
    plan = make_plan(recipe, store)
    assert [lack.hint for lack in plan.lacks] == [
        "on a machine with network run: hf download someone/absent --revision main"
    ]
    with pytest.raises(EnvironmentLacks, match="someone/absent"):
        run(recipe, store)
