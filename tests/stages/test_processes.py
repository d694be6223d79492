"""Several processes under `accelerate launch` train as one does."""

import shutil
import signal

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.errors import DataError, EnvironmentLacks, Interrupted
from mep.machine.files import read_json_lines, write_json
from mep.machine.work import NullProgress, Work
from mep.recipe import load_recipe
from mep.runner.callback import RunCallback
from mep.runner.launch import FAILURE, LOG, command_of, failure_of, raise_failure
from mep.runner.plan import make_plan
from mep.runner.run import check, run
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
    parts = {"distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 2}}
    (folder / "parts.yaml").write_text(yaml.safe_dump(accelerate | parts))
    recipe, store = write_recipe(folder / "tiny.yaml", settings), Store(folder / "runs")
    run(load_recipe(recipe), store)
    return recipe, store


def training_folder(recipe, store):
    task = make_plan(load_recipe(recipe), store).of_arm("main")["training"]
    return store.folder(task.artifact_id)


def test_two_processes_take_the_steps_of_one(scene):
    recipe, store = scene
    folder = training_folder(recipe, store)
    alone = read_json_lines(folder / "losses.jsonl")
    shutil.rmtree(folder)
    heard = []

    class Listening(RunCallback):
        def started(self, task):
            return Heard() if task.stage.name == "training" else NullProgress()

    class Heard:
        def update(self, done, total, note=""):
            heard.append((done, total, note))

    run(load_recipe(recipe, ["machine.accelerate=two.yaml", "machine.micro_batch=2"]), store, Listening())
    together = read_json_lines(folder / "losses.jsonl")
    for name in ("loss", "gradient_norm"):
        one, two = ([row[name] for row in rows] for rows in (alone, together))
        assert np.array(two) == pytest.approx(np.array(one), rel=1e-5)
    assert heard[-1][:2] == (5, 5)
    assert (folder / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors").exists()


class Stopping(RunCallback):
    """Asks for a stop as soon as training starts."""

    def started(self, task):
        if task.stage.name == "training":
            signal.raise_signal(signal.SIGTERM)
        return NullProgress()


def test_a_signal_reaches_the_processes_and_they_go_on(scene):
    recipe, store = scene
    shutil.rmtree(training_folder(recipe, store))
    with pytest.raises(Interrupted):
        run(load_recipe(recipe, ["machine.accelerate=two.yaml"]), store, Stopping())
    assert list((store.root / "work" / "training").rglob("*.pt"))  # what they had reached is kept
    run(load_recipe(recipe, ["machine.accelerate=two.yaml"]), store)
    folder = training_folder(recipe, store)
    resumed = [row["loss"] for row in read_json_lines(folder / "losses.jsonl")]
    shutil.rmtree(folder)
    run(load_recipe(recipe), store)
    assert resumed == pytest.approx([row["loss"] for row in read_json_lines(folder / "losses.jsonl")], rel=1e-5)


@pytest.mark.parametrize(("method", "conditioning"), [("unet", "text"), ("lora", "embedding")])
def test_a_model_in_parts_takes_the_steps_of_a_whole_one_and_goes_on_from_its_checkpoint(scene, method, conditioning):
    recipe, store = scene
    changes = [f"training.method={method}", f"training.conditioning={conditioning}"]
    changes += ["training.text_encoder=train", "machine.micro_batch=2"]
    run(load_recipe(recipe, changes), store)
    task = make_plan(load_recipe(recipe, changes), store).of_arm("main")["training"]
    folder = store.folder(task.artifact_id)
    alone = folder.with_name(f"alone-{method}")
    folder.rename(alone)
    with pytest.raises(Interrupted):
        run(load_recipe(recipe, [*changes, "machine.accelerate=parts.yaml"]), store, Stopping())
    (kept,) = (store.root / "work" / "training" / task.fingerprint).rglob("*.pt")
    assert not any(hasattr(one, "placements") for one in torch.load(kept, weights_only=True)["weights"].values())
    run(load_recipe(recipe, [*changes, "machine.accelerate=parts.yaml"]), store)
    one, parts = (read_json_lines(where / "losses.jsonl") for where in (alone, folder))
    for name in ("loss", "gradient_norm"):
        assert [row[name] for row in parts] == pytest.approx([row[name] for row in one], rel=1e-5)
    seen = [read_json_lines(where / "validation.jsonl") for where in (alone, folder)]
    assert [row["loss"] for row in seen[1]] == pytest.approx([row["loss"] for row in seen[0]], rel=1e-5)
    files = sorted(path.relative_to(alone) for path in alone.rglob("*.safetensors"))
    assert len(files) > 2
    for file in files:
        # whole files: Adam steps by the sign of a gradient that is nothing but round-off, as that of a bias of keys
        first, second = (
            torch.cat([one.ravel() for one in load_file(where / file).values()]) for where in (alone, folder)
        )
        assert (second - first).norm() <= 1e-3 * first.norm(), file


def test_what_processes_cannot_do_is_told_before_the_first_step(scene):
    recipe, store = scene
    changes = ["training.global_batch_size=1", "machine.accelerate=two.yaml"]
    with pytest.raises(EnvironmentLacks, match="2 processes cannot share 1 images"):
        run(load_recipe(recipe, changes), store)
    changes = ["training.optimizer=adafactor", "machine.accelerate=parts.yaml"]
    recipe_in_parts = load_recipe(recipe, changes)
    with pytest.raises(EnvironmentLacks, match=r"training\.optimizer: adafactor does not work on a model in parts"):
        check(make_plan(recipe_in_parts, store))


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
    (tmp_path / "other.yaml").write_text("distributed_type: DEEPSPEED")
    with pytest.raises(EnvironmentLacks, match="mep does not train with DEEPSPEED"):
        command_of(tmp_path / "other.yaml", tmp_path)
