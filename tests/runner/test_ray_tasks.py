"""A run whose arms are tasks of a real Ray cluster of two nodes on this host: one node is lost in the middle."""

import os
import shutil
import signal
import threading

import psutil
import pytest
from ray_clusters import ray_cluster
from small_data import draw_imagefolder, tiny_settings, write_recipe
from stores import assert_whole, attempts

from mep.errors import Interrupted
from mep.machine.settings import MachineConfig
from mep.machine.work import NullProgress
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.run import run
from mep.store import Store
from mep.store.runs import find_run

ray = pytest.importorskip("ray")
STEPS = 100


@pytest.fixture(scope="module")
def cluster():
    """A head without cores for work, and two nodes of one core each, of which one may be killed."""
    with ray_cluster(RAY_health_check_period_ms="500") as cluster:
        cluster.nodes = [cluster.add(num_cpus=1) for _ in range(2)]
        yield cluster


@pytest.fixture(scope="module")
def scene(cluster, tmp_path_factory):
    """A recipe of two arms, what puts it on Ray, and the store of a run in this process that nobody disturbed."""
    root = tmp_path_factory.mktemp("ray-tasks")
    settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=STEPS)
    settings["machine"]["checkpoint_every_s"] = 0.1
    settings["utility"] = {"probe": "none"}
    recipe, calm = write_recipe(root / "tiny.yaml", settings), Store(root / "runs")
    run(load_recipe(recipe), calm)
    return recipe, ("machine.at_once=2", f"machine.engine={{kind: ray, address: '{cluster.address}'}}"), calm


class When(RunCallback):
    """Does something once both trainings have come to a step, and asks for a stop once both are done."""

    def __init__(self, do, step=20):
        self.do, self.step, self.reached, self.n_done = do, step, set(), 0

    def started(self, task):
        return self.Heard(self, task.artifact_id) if task.stage.name == "training" else NullProgress()

    def finished(self, task, seconds, facts):
        self.n_done += task.stage.name == "training"
        if self.n_done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    class Heard:
        def __init__(self, when, name):
            self.when, self.name = when, name

        def update(self, done, total, note=""):
            before = len(self.when.reached)
            if done >= self.when.step:
                self.when.reached.add(self.name)
            if before < len(self.when.reached) == 2:
                self.when.do()


def test_a_node_that_is_lost_while_both_arms_train_costs_no_byte(cluster, scene, tmp_path):
    recipe, on_ray, calm = scene
    shutil.copytree(calm.root, tmp_path / "runs")
    store, workers = Store(tmp_path / "runs"), []
    for stage in ("training", "generation", "assignment", "metrics"):
        shutil.rmtree(store.root / "store" / stage)

    def lose():
        workers.extend(process for process in psutil.process_iter(["cmdline"]) if is_worker(process))
        threading.Thread(target=cluster.remove_node, args=(cluster.nodes[1],), kwargs={"allow_graceful": False}).start()

    with pytest.raises(Interrupted):  # and not as Ray answers a SIGTERM, which ends the process where it stands
        run(load_recipe(recipe, on_ray), store, When(lose))
    assert len(workers) == 2  # both arms were at work
    last = find_run(store, None)["run_id"]
    first, second = (row for row in attempts(store, "training") if row["run_id"] == last)
    assert max(first["started_at"], second["started_at"]) < min(first["ended_at"], second["ended_at"])
    assert {row["state"] for row in (first, second)} == {"done"}
    run(load_recipe(recipe), store)
    assert_whole(store, calm)


def is_worker(process):
    return "ray::_Actor" in str(process.info["cmdline"])


class StopsWhenItWaits(RunCallback):
    def warned(self, text):
        if "for room" in text:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_is_heard_while_there_is_no_room_for_the_first_worker(cluster, scene, tmp_path, monkeypatch):
    recipe, on_ray, calm = scene
    monkeypatch.setattr("mep.machine.ray_cluster.SAY_AFTER_S", 0.5)
    shutil.copytree(calm.root, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "store" / "generation")
    engine = f"machine.engine={{kind: ray, address: '{cluster.address}', cpus_per_actor: 64, connect_timeout_s: 60}}"
    with pytest.raises(Interrupted):
        run(load_recipe(recipe, [on_ray[0], engine]), Store(tmp_path / "runs"), StopsWhenItWaits())


def test_workers_ask_for_gpus_and_memory_as_their_stages_need(cluster):
    engine = MachineConfig.model_validate(
        {"engine": {"kind": "ray", "address": cluster.address, "memory_gb": 2, "cpus_per_actor": 3, "gpu_share": 0.25}}
    ).engine
    assert engine.needs("cuda", whole_gpu=False) == {"CPU": 3, "GPU": 0.25, "memory": 2_000_000_000}
    assert engine.needs("cuda", whole_gpu=True)["GPU"] == 1
    assert (engine.device_of("cuda"), engine.device_of("auto")) == ("cuda", "cpu")  # no node has a GPU
