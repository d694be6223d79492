"""Resume as a story: run, run again, change one thing, change it back."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_data import draw_imagefolder, tiny_settings, write_recipe
from stores import contents

from mep.errors import DataError, EnvironmentLacks, StageFailed, UsageError
from mep.machine.files import read_json_lines
from mep.machine.work import NullProgress
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.plan import make_plan
from mep.runner.run import resume, run
from mep.store import Store
from mep.store.runs import find_run, state_of

AFTER_TRAINING = ["guidance", "generation", "assignment", "metrics", "utility", "privacy"]
"""Stages that every arm has of its own because it is trained on its own."""

STEPS = 250
"""Training steps of a run that is to be stopped on its way."""


class Notes(RunCallback):
    """A callback that writes down what it hears."""

    def __init__(self):
        self.made, self.reused_, self.finished_ = [], [], []

    def started(self, task):
        self.made.append(task.stage.name)
        return NullProgress()

    def reused(self, task):
        self.reused_.append(task.stage.name)

    def finished(self, task, seconds, facts):
        self.finished_.append(task.stage.name)


def go(recipe, store, *overrides):
    notes = Notes()
    return run(load_recipe(recipe, overrides), store, notes), notes


def test_what_is_done_is_reused_and_only_what_depends_on_a_change_runs_again(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    _, first = go(tiny_recipe, store)
    assert first.reused_ == []
    assert sorted(set(first.made)) == sorted({path.name for path in (store.root / "store").iterdir()})

    _, again = go(tiny_recipe, store)
    assert again.made == []
    assert len(again.reused_) == len(first.made)

    _, other = go(tiny_recipe, store, "training.learning_rate=2e-3")
    assert sorted(other.made) == sorted(2 * ["training", *AFTER_TRAINING])

    _, back = go(tiny_recipe, store, "machine.batch_size=3")
    assert back.made == []  # the machine changes no result
    assert store.db.query("SELECT count(*) AS n FROM runs WHERE state = 'done'") == [{"n": 4}]


def test_arms_share_everything_but_what_their_captions_touch(tiny_recipe, tmp_path):
    plan = make_plan(load_recipe(tiny_recipe), Store(tmp_path / "runs"))
    own = sorted({task.stage.name for task in plan.tasks if len(task.arms) == 1})
    assert own == sorted(["prompts", "training", *AFTER_TRAINING])
    assert plan.of_arm("mep").keys() == plan.of_arm("label-only").keys()


def test_both_arms_train_on_the_same_images_and_generate_as_many_per_label(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    go(tiny_recipe, store)
    plan = make_plan(load_recipe(tiny_recipe), store)
    captions, counts = {}, {}
    for arm in ("label-only", "mep"):
        tasks = plan.of_arm(arm)
        load = {name: store.load(task.stage.output, task.artifact_id, task.config) for name, task in tasks.items()}
        captions[arm] = load["prompts"].of_image.keys()
        labels = [row["label"] for row in load["generation"].rows]
        counts[arm] = {label: labels.count(label) for label in set(labels)}
    assert captions["label-only"] == captions["mep"]
    assert counts["label-only"] == counts["mep"] == {"healthy": 5, "cancer": 5}


def test_the_plan_names_the_ingredient_that_changed(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    go(tiny_recipe, store)
    plan = make_plan(load_recipe(tiny_recipe, ["training.learning_rate=2e-3"]), store)
    why = {(task.stage.name, task.status, task.why) for task in plan.tasks if task.status != "reuse"}
    assert ("training", "run", "training.learning_rate 0.001 -> 0.002") in why
    assert ("generation", "run", "after training, guidance") in why


def test_an_edited_image_is_another_dataset(tiny_recipe, imagefolder, tmp_path):
    store = Store(tmp_path / "runs")
    go(tiny_recipe, store)
    (imagefolder / "00.png").write_bytes((imagefolder / "02.png").read_bytes())
    plan = make_plan(load_recipe(tiny_recipe), store)
    changed = next(task for task in plan.tasks if task.stage.name == "dataset")
    assert changed.status == "run"
    assert re.search(r"content of imagefolder .* -> ", changed.why)


def test_a_stage_whose_output_was_damaged_is_made_again(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    go(tiny_recipe, store)
    victim = next((store.root / "store" / "embedding").rglob("vectors.npy"))
    good = victim.read_bytes()
    victim.unlink()
    _, notes = go(tiny_recipe, store)
    assert notes.made == ["embedding"]
    assert victim.read_bytes() == good


def test_two_runs_in_two_stores_give_the_same_bytes(tiny_recipe, tmp_path):
    stores = [Store(tmp_path / name) for name in ("one", "two")]
    for store in stores:
        go(tiny_recipe, store)
    first, second = map(contents, stores)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_every_field_is_recorded_with_its_origin(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    run_id, _ = go(tiny_recipe, store, "training.steps=5")
    rows = store.db.query("SELECT field, value, origin FROM parameters WHERE run_id = ? AND arm = 'mep'", run_id)
    origin = {row["field"]: (json.loads(row["value"]), row["origin"]) for row in rows}
    assert origin["training.steps"] == (5, "--set")
    assert origin["seed"] == (7, f"{tiny_recipe}:3:7")
    assert origin["outliers.method.kind"][1].startswith("modality")
    assert origin["training.caption_dropout"] == (0.1, "default")


def test_a_lock_repeats_the_run(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    run_id, _ = go(tiny_recipe, store)
    _, notes = go(store.run_folder(run_id) / "recipe.lock.yaml", store)
    assert notes.made == []


def test_a_stage_that_raises_is_told_with_its_log_and_the_run_can_go_on(tiny_recipe, tmp_path, monkeypatch):
    store = Store(tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr("mep.stages.generation.worker_job.load_pipeline", lambda *a, **b: 1 / 0)
        with pytest.raises(StageFailed, match="stage generation failed: ZeroDivisionError") as caught:
            go(tiny_recipe, store)
    row = find_run(store, None)
    assert state_of(row, store) == "failed"
    log = Path(caught.value.hint.removeprefix("the traceback is in "))
    assert "ZeroDivisionError" in log.read_text()
    notes = Notes()
    resume(row["run_id"], store, notes)
    assert sorted(notes.made) == sorted(2 * AFTER_TRAINING[1:])
    assert state_of(find_run(store, row["run_id"]), store) == "done"


def test_more_clusters_than_images_leave_the_store_without_a_trace_of_clusters(tmp_path, imagefolder):
    settings = tiny_settings(imagefolder)
    settings["clustering"]["method"]["k"] = 99
    store = Store(tmp_path / "runs")
    with pytest.raises(DataError, match="99 clusters are asked of 30 images"):
        go(write_recipe(tmp_path / "many.yaml", settings), store)
    assert not (store.root / "store" / "clustering").exists()
    assert not (store.root / "work" / "clustering").exists() or not any((store.root / "work" / "clustering").iterdir())


def test_runs_are_found_by_the_beginning_of_their_name(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    with pytest.raises(UsageError, match="there are no runs"):
        find_run(store, None)
    run_id, _ = go(tiny_recipe, store)
    assert find_run(store, run_id[:15])["run_id"] == run_id
    go(tiny_recipe, store)
    with pytest.raises(UsageError, match="is ambiguous"):
        find_run(store, run_id[:4])
    with pytest.raises(UsageError, match="'nothing' is no run"):
        find_run(store, "nothing")


def mep(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "mep", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A recipe that trains for a while, and the store of a run of it that nothing stopped."""
    root = tmp_path_factory.mktemp("undisturbed")
    settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=STEPS)
    settings["machine"]["checkpoint_every_s"] = 0.2
    settings["arms"] = {}
    recipe, store = write_recipe(root / "long.yaml", settings), Store(root / "runs")
    go(recipe, store)
    return recipe, store


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_stopped_while_it_trains_resumes_to_the_same_bytes(undisturbed, tmp_path, number):
    recipe, calm = undisturbed
    stormy = Store(tmp_path / "stormy")
    process = mep("--runs", stormy.root, "run", recipe)
    wait_for(lambda: list((stormy.root / "work" / "training").rglob("*.pt")), process)
    done_before = set(contents(stormy))
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    row = find_run(stormy, None)
    assert state_of(row, stormy) == "interrupted"
    if number != signal.SIGKILL:
        assert f"resume {row['run_id']}" in output

    process = mep("--runs", stormy.root, "resume")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert {name for name in done_before if f"+ {name.split('/')[1]} " in output} == set()  # nothing finished is redone
    assert contents(stormy) == contents(calm)
    logs = [next((store.root / "store" / "training").rglob("losses.jsonl")) for store in (calm, stormy)]
    assert logs[0].read_text() == logs[1].read_text()
    assert [row["step"] for row in read_json_lines(logs[1])] == list(range(STEPS))


def test_two_processes_with_one_recipe_share_the_work(tiny_recipe, tmp_path):
    root = tmp_path / "runs"
    processes = [mep("--runs", root, "run", tiny_recipe) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    store = Store(root)
    attempts = store.db.query("SELECT artifact_id, count(*) AS n FROM attempts GROUP BY artifact_id")
    assert {row["n"] for row in attempts} == {1}  # no stage was made twice
    assert store.db.query("SELECT count(*) AS n FROM runs WHERE state = 'done'") == [{"n": 2}]


def test_the_locked_recipe_names_the_data_relative_to_itself(tiny_recipe, imagefolder, tmp_path):
    store = Store(tmp_path / "runs")
    run_id, _ = go(tiny_recipe, store)
    locked = yaml.safe_load((store.run_folder(run_id) / "recipe.lock.yaml").read_text())
    assert locked["dataset"]["source"]["path"] == "../../images"


def test_a_repeat_shares_everything_before_training_and_raising_the_number_keeps_the_earlier(tiny_recipe, tmp_path):
    store = Store(tmp_path / "runs")
    one, two = (make_plan(load_recipe(tiny_recipe, [f"seeds={n}"]), store) for n in (1, 2))
    assert {task.artifact_id for task in one.tasks} < {task.artifact_id for task in two.tasks}
    first, second = two.of_arm("mep"), two.of_arm("mep#2")
    assert {name for name in first if first[name] is not second[name]} == {"training", *AFTER_TRAINING}
    assert first["training"].seed != second["training"].seed
    assert second["training"].seed != two.of_arm("label-only")["training"].seed == first["training"].seed


def test_a_dataset_too_small_for_its_scores_ends_with_gaps_and_not_with_a_failure(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images", n=20))
    settings["generation"]["allocation"]["images"] = 2
    store = Store(tmp_path / "runs")
    run_id = run(load_recipe(write_recipe(tmp_path / "small.yaml", settings)), store)
    rows = store.db.query("SELECT metric, value, protocol FROM run_scores WHERE run_id = ? AND arm = 'mep'", run_id)
    coverage = next(row for row in rows if row["metric"] == "coverage")
    assert coverage["value"] is None
    assert "are needed" in json.loads(coverage["protocol"])["reason"]


def test_packages_that_a_training_would_import_are_missed_before_the_first_stage(tmp_path, monkeypatch):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images"))
    recipe, store = write_recipe(tmp_path / "tiny.yaml", settings), Store(tmp_path / "runs")
    for package in ("trackio", "xformers", "bitsandbytes"):
        monkeypatch.setitem(sys.modules, package, None)
    missing = {
        "machine.trackers=[trackio]": "machine.trackers names trackio, which is not installed",
        "machine.attention=xformers": "machine.attention names xformers, which is not installed",
        "training.optimizer=adamw_8bit": "needs the package bitsandbytes, which is not installed",
    }
    for change, told in missing.items():
        with pytest.raises(EnvironmentLacks, match=told):
            run(load_recipe(recipe, [change]), store)
    assert store.db.query("SELECT * FROM artifacts") == []
