"""Arms side by side, each in a process of its own: nothing is lost, and nothing else comes out."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from small_data import draw_imagefolder, tiny_settings, write_recipe
from stores import assert_whole, attempts, contents

from mep.errors import Interrupted, StageFailed
from mep.machine.work import NullProgress
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.forecast import forecast
from mep.runner.plan import make_plan
from mep.runner.run import resume, run
from mep.runner.session import Session
from mep.runner.side_by_side import batches
from mep.runner.verify import check_artifacts, check_database
from mep.store import Store, locks

STEPS = 100
"""So many that the second process is there before the first has done its own."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A recipe of two arms that are made at once, and a store in which nobody disturbed it."""
    root = tmp_path_factory.mktemp("side-by-side")
    settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=STEPS)
    settings["machine"] |= {"at_once": 2, "checkpoint_every_s": 0.1}
    recipe, store = write_recipe(root / "tiny.yaml", settings), Store(root / "runs")
    run(load_recipe(recipe), store)
    return recipe, store


def test_both_arms_are_at_work_at_the_same_time(scene):
    _, store = scene
    first, second = attempts(store, "training")
    assert max(first["started_at"], second["started_at"]) < min(first["ended_at"], second["ended_at"])
    assert {first["state"], second["state"]} == {"done"}
    assert min(first["peak_memory_mb"], second["peak_memory_mb"]) > 50
    assert check_artifacts(store) == check_database(store) == []


def test_what_is_there_already_takes_no_process(scene, monkeypatch):
    recipe, store = scene
    monkeypatch.setattr("mep.machine.worker_pool.WorkerPool", None)
    before = len(attempts(store, "training"))
    run(load_recipe(recipe), store)
    assert len(attempts(store, "training")) == before


def test_tasks_are_together_only_where_none_needs_another(scene):
    recipe, store = scene
    plan = make_plan(load_recipe(recipe), store)
    names = [[task.stage.name for task in batch] for batch in batches(plan.tasks, plan.recipe.machine)]
    assert [name for batch in names for name in batch] == [task.stage.name for task in plan.tasks]
    assert names[2] == ["calibration", "embedding", "ceiling", "heldout", "references"]
    assert names[-1] == ["utility", "utility", "metrics", "metrics", "privacy", "privacy"]
    assert ["training", "training"] in names
    assert ["generation", "generation"] in names
    alone = plan.recipe.machine.model_copy(update={"at_once": 1})
    assert all(len(batch) == 1 for batch in batches(plan.tasks, alone))


def test_what_they_say_is_heard(scene, tmp_path):
    recipe, _ = scene
    heard = []

    class Listening(RunCallback):
        def started(self, task):
            return Heard(task)

    class Heard:
        def __init__(self, task):
            self.task = task

        def update(self, done, total, note=""):
            heard.append((self.task.stage.name, *self.task.arms, done))

    run(load_recipe(recipe), Store(tmp_path), Listening())
    assert {("training", "label-only", STEPS), ("training", "mep", STEPS)} <= set(heard)


def test_what_runs_at_once_takes_less_time_and_more_memory(scene):
    recipe, store = scene
    ahead = [forecast(make_plan(load_recipe(recipe, ["seed=9", f"machine.at_once={n}"]), store), store) for n in (1, 2)]
    assert ahead[1].time_s < ahead[0].time_s
    assert ahead[1].memory_mb > 1.2 * ahead[0].memory_mb


class Stopping(RunCallback):
    """Asks for a stop once the second training has begun."""

    def __init__(self):
        self.n_trainings = 0

    def started(self, task):
        self.n_trainings += task.stage.name == "training"
        if self.n_trainings == 2:
            signal.raise_signal(signal.SIGTERM)
        return NullProgress()


def test_a_signal_stops_both_and_they_go_on_to_the_same_bytes(scene, tmp_path):
    recipe, calm = scene
    store = Store(tmp_path)
    with pytest.raises(Interrupted):
        run(load_recipe(recipe), store, Stopping())
    assert [row["state"] for row in attempts(store, "training")] == ["interrupted", "interrupted"]
    run_id = store.db.query("SELECT run_id FROM runs")[0]["run_id"]
    resume(run_id, store)
    assert {row["resume"] for row in attempts(store, "training")[2:]} <= {"exact", ""}
    assert_whole(store, calm)


def children(pid):
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def test_killed_with_its_processes_a_run_goes_on_to_the_same_bytes(scene, tmp_path):
    recipe, calm = scene
    store = Store(tmp_path)
    command = [sys.executable, "-m", "mep", "--runs", str(tmp_path), "run", str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "work" / "training").glob("*/progress.json")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        workers = children(process.pid)
        process.kill()
    assert workers
    while any(os.path.exists(f"/proc/{pid}") for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {row["state"] for row in attempts(store, "training")} == {"running"}
    resume(store.db.query("SELECT run_id FROM runs")[0]["run_id"], store)
    assert_whole(store, calm)


class Losing(RunCallback):
    """Takes the captions of an arm away before its process reads them."""

    def started(self, task):
        if (task.stage.name, task.arms) == ("training", ["mep"]):
            shutil.rmtree(self.store.folder(task.inputs["prompts"].artifact_id))
        return NullProgress()


def test_an_arm_that_fails_leaves_the_other_its_result(scene, tmp_path):
    recipe, _ = scene
    losing = Losing()
    losing.store = store = Store(tmp_path)
    with pytest.raises(StageFailed, match="stage training failed: FileNotFoundError"):
        run(load_recipe(recipe), store, losing)
    states = {row["arms"]: row["state"] for row in attempts(store, "training")}
    assert states == {'["label-only"]': "done", '["mep"]': "failed"}
    assert not attempts(store, "generation")
    assert len(list((tmp_path / "store" / "training").iterdir())) == 1
    log = next(tmp_path.glob("*/log.txt")).read_text()
    assert "in a process of its own" in log


def test_what_another_run_has_given_up_is_made_by_a_process_of_its_own_too(scene, tmp_path, monkeypatch):
    recipe, calm = scene
    shutil.copytree(calm.root, tmp_path / "runs")
    store, lost = Store(tmp_path / "runs"), attempts(calm, "generation")[0]["artifact_id"]
    shutil.rmtree(store.folder(lost))
    made_here, make = [], Session._make
    monkeypatch.setattr(Session, "_make", lambda self, task, *rest: (made_here.append(task), make(self, task, *rest)))

    class Meeting(RunCallback):
        def waiting(self, task, why):
            other.close()

    with ExitStack() as other:
        other.enter_context(locks.hold(store.lock_path(lost)))
        run(load_recipe(recipe), store, Meeting())
    assert "generation" not in {task.stage.name for task in made_here}
    assert contents(store) == contents(calm)
