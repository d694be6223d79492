"""Several processes under `accelerate launch` train as one does."""

import shutil
import signal

import numpy as np
import pytest
import yaml
from conftest import draw_imagefolder, tiny_settings, write_recipe

from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.files import read_json_lines, write_json
from mep.recipe import load_recipe
from mep.runner.launch import FAILURE, LOG, command_of, failure_of, raise_failure
from mep.runner.plan import make_plan
from mep.runner.run import Unwatched, run
from mep.stage import Silent, Work
from mep.store import Store


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A finished run of one process, its recipe, and a configuration of accelerate with two CPU processes."""
    folder = tmp_path_factory.mktemp("processes")
    settings = tiny_settings(draw_imagefolder(folder / "images"), training_steps=5)
    settings["training"] |= {"global_batch_size": 5, "watch": {"looks": 1, "steps": 1, "prompts": 1}}
    del settings["arms"]
    accelerate = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "MULTI_CPU", "use_cpu": True}
    accelerate |= {"num_machines": 1, "num_processes": 2, "machine_rank": 0, "mixed_precision": "no"}
    (folder / "two.yaml").write_text(yaml.safe_dump(accelerate))
    recipe, store = write_recipe(folder / "tiny.yaml", settings), Store(folder / "runs")
    run(load_recipe(recipe), store)
    return recipe, store


def training_folder(recipe, store):
    task = make_plan(load_recipe(recipe), store).of_arm("main")["training"]
    return store.folder("training", task.fingerprint)


def test_two_processes_take_the_steps_of_one(scene):
    recipe, store = scene
    folder = training_folder(recipe, store)
    alone = read_json_lines(folder / "losses.jsonl")
    shutil.rmtree(folder)
    heard = []

    class Watcher(Unwatched):
        def started(self, task):
            return Heard() if task.stage.name == "training" else Silent()

    class Heard:
        def update(self, done, total, note=""):
            heard.append((done, total, note))

    run(load_recipe(recipe, ["machine.accelerate=two.yaml", "machine.micro_batch=2"]), store, Watcher())
    together = read_json_lines(folder / "losses.jsonl")
    for name in ("loss", "gradient_norm"):
        one, two = ([row[name] for row in rows] for rows in (alone, together))
        assert np.array(two) == pytest.approx(np.array(one), rel=1e-5)
    assert heard[-1][:2] == (5, 5)
    assert (folder / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors").exists()


def test_a_signal_reaches_the_processes(scene):
    recipe, store = scene
    shutil.rmtree(training_folder(recipe, store))

    class Stopping(Unwatched):
        def started(self, task):
            if task.stage.name == "training":
                signal.raise_signal(signal.SIGTERM)
            return Silent()

    with pytest.raises(Interrupted):
        run(load_recipe(recipe, ["machine.accelerate=two.yaml"]), store, Stopping())
    assert list((store.root / "work" / "training").rglob("*.pt"))  # what they had reached is kept


def test_an_error_of_a_process_is_told_as_if_it_had_come_from_here(tmp_path):
    told = DataError("no layer is called 'to_z'", hint="take another", field="training.method.targets")
    write_json(tmp_path / FAILURE, failure_of(told))
    with pytest.raises(DataError) as caught:
        raise_failure(Work(folder=tmp_path), 1)
    assert vars(caught.value) == vars(told)


def test_the_end_of_what_a_process_said_before_it_died_is_told(tmp_path):
    (tmp_path / LOG).write_text("x" * 5000 + "Segmentation fault")
    with pytest.raises(RuntimeError, match=r"ended with code -11:\nx+Segmentation fault"):
        raise_failure(Work(folder=tmp_path), -11)


def test_a_file_that_configures_nothing_is_told(tmp_path):
    (tmp_path / "other.yaml").write_text("a: 1")
    with pytest.raises(EnvironmentLacks, match="is no configuration of accelerate") as caught:
        command_of(tmp_path / "other.yaml", tmp_path)
    assert caught.value.hint.startswith("write one: accelerate config")
    (tmp_path / "fsdp.yaml").write_text("distributed_type: FSDP")
    with pytest.raises(EnvironmentLacks, match="splits one model over devices"):
        command_of(tmp_path / "fsdp.yaml", tmp_path)
