"""Models trained by two ranks each, on real Ray clusters of this host: a node is lost; an autoscaler starts them."""

import json
import shutil

import pytest
import yaml
from ray_clusters import growing_cluster, n_nodes, ray_cluster, shrunk
from small_data import draw_imagefolder, tiny_settings, write_recipe
from stores import attempts, contents

from mep.errors import EnvironmentLacks
from mep.machine.work import NullProgress
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.run import run
from mep.store import Store

ray = pytest.importorskip("ray")
STEPS = 100  # progress is heard late on a busy host: enough are left then for a loss to matter


@pytest.fixture(scope="module")
def cluster():
    """A head without cores for work, and one node of one core; tests add others, and kill some."""
    with pytest.MonkeyPatch.context() as patch, ray_cluster(RAY_health_check_period_ms="500") as cluster:
        patch.setattr("mep.machine.ray_cluster.SAY_AFTER_S", 0.5)
        cluster.add(num_cpus=1)
        yield cluster


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A recipe of two arms, and the store of a run that trained each by two processes of `accelerate launch`."""
    root = tmp_path_factory.mktemp("ray-ranks")
    settings = tiny_settings(draw_imagefolder(root / "images"), training_steps=STEPS)
    settings["machine"]["checkpoint_every_s"] = 0.1
    settings["training"]["base"] |= {"resolution": 16, "autoencoder": {"kind": "pca"}}
    settings |= {"utility": {"probe": "none"}}
    accelerate = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "MULTI_CPU", "use_cpu": True}
    accelerate |= {"num_machines": 1, "num_processes": 2, "machine_rank": 0, "mixed_precision": "no"}
    (root / "two.yaml").write_text(yaml.safe_dump(accelerate))
    recipe, calm = write_recipe(root / "tiny.yaml", settings), Store(root / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        run(load_recipe(recipe, ["machine.accelerate=two.yaml"]), calm)
    return recipe, calm


def on_ray(cluster, **settings):
    """What trains in two ranks there, as an override of the recipe."""
    places = {"training_processes": 2, "training_placement": "strict_spread", "connect_timeout_s": 60}
    return f"machine.engine={json.dumps({'kind': 'ray', 'address': cluster.address} | places | settings)}"


def without(calm, root, *folders):
    """A copy of a store that lacks artifacts."""
    shutil.copytree(calm.root, root)
    for folder in folders:
        shutil.rmtree(root / "store" / folder)
    return Store(root)


class Disturbing(RunCallback):
    """Does something when the training waits, and something else at the first look after steps."""

    def __init__(self, at_step, at_wait=lambda: None):
        self.at_wait, self.at_step, self.said = at_wait, at_step, []

    def waiting(self, task, why):
        if task.stage.name == "training":
            self.said.append(why)
            self.at_wait()

    def started(self, task):
        return self if task.stage.name == "training" else NullProgress()

    def update(self, done, total, note=""):
        for step in sorted(self.at_step):
            if done >= step:
                self.at_step.pop(step)()
                return


class Counting(RunCallback):
    """Counts nodes whenever a training gets on."""

    def started(self, task):
        return self if task.stage.name == "training" else NullProgress()

    def update(self, done, total, note=""):
        self.count()


def test_ranks_that_wait_for_a_node_and_lose_it_end_with_the_bytes_of_accelerate_launch(cluster, scene, tmp_path):
    recipe, calm = scene
    store, nodes = without(calm, tmp_path / "runs", attempts(calm, "training")[0]["artifact_id"]), []

    def add_node():
        if "for room" in heard.said[-1]:
            nodes.append(cluster.add(num_cpus=1))

    def lose_node():
        cluster.remove_node(nodes[0], allow_graceful=False)  # with the rank that it has

    heard = Disturbing({1: lose_node}, at_wait=add_node)
    run_id = run(load_recipe(recipe, [on_ray(cluster)]), store, heard)
    assert contents(store) == contents(calm)

    reasons = [why.split(":")[0] for why in heard.said]
    assert reasons == ["for room", "for 2 ranks to begin again where they can go on", "for room"]
    assert "a worker takes 1 CPU; free: 1 CPU (nodes: 2" in heard.said[0]
    assert "2 of them together, placement: strict_spread" in heard.said[0]
    [attempt] = (row for row in attempts(store, "training") if row["run_id"] == run_id)
    assert f"training[label-only] waits: {heard.said[0]}" in (store.run_folder(run_id) / "log.txt").read_text()
    assert '"processes": 2' in attempt["machine"]


def test_an_autoscaler_starts_nodes_for_both_arms_and_ends_them_and_the_bytes_are_the_same(scene, tmp_path):
    recipe, calm = scene
    store, heard, most = without(calm, tmp_path / "runs", "training"), Counting(), []
    with growing_cluster(tmp_path, 4, idle_s=3, CPU=1) as cluster:
        heard.count = lambda: most.append(n_nodes(cluster))
        assert n_nodes(cluster) == 0
        run_id = run(load_recipe(recipe, ["machine.at_once=2", on_ray(cluster)]), store, heard)
        shrunk(cluster)
        assert contents(store) == contents(calm)
        shutil.rmtree(store.root / "store" / "generation")
        with_gpu = ["machine.at_once=2", "machine.device=cuda", on_ray(cluster, connect_timeout_s=2)]
        with pytest.raises(EnvironmentLacks, match=r"2 s: a worker takes 1 GPU and 1 CPU; no node has 1 GPU and 1 CPU"):
            run(load_recipe(recipe, with_gpu), store)
    assert max(most) == 4
    first, second = (row for row in attempts(store, "training") if row["run_id"] == run_id)
    assert max(first["started_at"], second["started_at"]) < min(first["ended_at"], second["ended_at"])
