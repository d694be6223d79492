"""Published models: what a folder must hold, where a model comes from, and what is told when it is not there."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
from huggingface_hub import errors
from pydantic import ValidationError
from training_parts import Inputs

from mep.errors import DataError, EnvironmentLacks
from mep.machine.hub import ModelReference
from mep.methods.bases.pretrained import Pretrained, check_folder, license_of
from mep.runner.plan import make_plan
from mep.runner.run import check
from mep.store import Store

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def folder(inputs, tmp_path):
    shutil.copytree(inputs.base.pipeline, tmp_path / "model")
    return tmp_path / "model"


def test_id_commit_and_licence_travel_with_the_model(inputs, folder, tmp_path, monkeypatch):
    (folder / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\n# SD\n")
    (folder / "LICENSE.txt").write_text("terms")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **settings: folder)
    base = inputs.build(Pretrained(kind="pretrained", id="org/sd", revision=COMMIT, resolution=16), "hub")
    known = {"id": "org/sd", "revision": COMMIT, "license": "creativeml-openrail-m"}
    assert base.origin == {"kind": "pretrained"} | known
    model, _ = inputs.train(tmp_path, base=base)
    assert (model.pipeline / "LICENSE.txt").read_text() == "terms"
    card = (model.folder / "README.md").read_text()
    assert "license: creativeml-openrail-m\nbase_model: org/sd\n" in card
    assert f"Fine-tuned from org/sd at {COMMIT}" in card


def test_a_card_without_front_matter_names_no_licence(folder):
    (folder / "README.md").write_text("# SD\nlicense: mit\n")
    assert license_of(folder) == ""


def pickled(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


def untokenised(folder):
    shutil.rmtree(folder / "tokenizer")


def emptied(folder):
    for path in (folder / "tokenizer").iterdir():
        path.unlink()


def nameless(folder):
    (folder / "model_index.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (pickled, r"unet holds only diffusion_pytorch_model.bin, a pickle, which can run code: mep reads safetensors"),
        (untokenised, "it has no tokenizer$"),
        (emptied, "it has no tokenizer files"),
        (nameless, r"it has no model_index.json"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused_with_a_next_step(folder, damage, message):
    damage(folder)
    with pytest.raises(DataError, match=message) as caught:
        check_folder(folder, 16)
    assert caught.value.hint
    assert caught.value.field == "training.base"


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_that_were_copied_in_part_are_told_before_the_first_stage(folder, part):
    whole = Pretrained(kind="pretrained", path=folder, resolution=16)
    whole.require()
    weights = next((folder / part).glob("*.safetensors"))
    os.truncate(weights, weights.stat().st_size - 1000)
    with pytest.raises(DataError, match=rf"{part}/.*safetensors is cut short: .* of .* bytes") as caught:
        whole.require()
    assert caught.value.hint == "fetch the model again, or copy it whole"


def test_a_side_that_the_autoencoder_cannot_divide_is_told_while_the_recipe_is_read(folder):
    with pytest.raises(ValidationError, match="500 pixels cannot be divided by the autoencoder's factor, 8"):
        Pretrained(kind="pretrained", path=folder, resolution=500)
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"block_out_channels": [8] * 5}))
    with pytest.raises(DataError, match="24 pixels cannot be divided by the autoencoder's factor, 16"):
        check_folder(folder, 24)


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    def refuse(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    return tmp_path / "cache"


@pytest.mark.parametrize("revision", [COMMIT, "main"])
def test_a_model_that_is_nowhere_is_told_with_the_command_that_fetches_it(no_hub, revision):
    with pytest.raises(EnvironmentLacks, match=r"org/sd .* is not on this machine") as caught:
        ModelReference(id="org/sd", revision=revision).require()
    assert caught.value.hint.endswith(f"hf download org/sd --revision {revision}")


def test_a_model_that_was_fetched_before_needs_no_hub(no_hub):
    snapshot = no_hub / "models--org--sd" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model_index.json").write_text("{}")
    (no_hub / "models--org--sd" / "refs").mkdir()
    (no_hub / "models--org--sd" / "refs" / "main").write_text(COMMIT)
    for revision in ("main", COMMIT):
        reference = ModelReference(id="org/sd", revision=revision)
        reference.require()
        assert reference.externals(lambda path: "") == {"model": COMMIT}


def test_a_run_looks_for_models_and_arithmetic_before_its_first_stage(tiny_recipe, tmp_path, no_hub):
    from mep.recipe import load_recipe

    def plan(*overrides):
        return make_plan(load_recipe(tiny_recipe, overrides), Store(tmp_path / "runs"))

    check(plan())
    with pytest.raises(EnvironmentLacks, match="fp16 needs a GPU"):
        check(plan("training.precision=fp16"))
    check(plan("training.precision=fp16", "machine.device=cuda"))
    nobody = ["machine.engine={kind: ray, address: '127.0.0.1:9', connect_timeout_s: 1}"]
    with pytest.raises(EnvironmentLacks, match="no Ray cluster answers at"):
        check(plan(*nobody))
    base = f"training.base={{kind: pretrained, id: org/sd, revision: {COMMIT}}}"
    with pytest.raises(EnvironmentLacks, match="org/sd"):
        check(plan(base))


def on_the_hub(monkeypatch, answer):
    """A hub that knows the model, and gives what `answer` gives."""
    info = SimpleNamespace(sha=COMMIT, siblings=[])
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *args, **settings: info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", answer)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            {"_class_name": "FluxPipeline"},
            "^org/FluxPipeline holds a FluxPipeline, wanted one of PixArtSigmaPipeline, StableDiffusion3",
        ),
        ({"_class_name": "StableDiffusionXLPipeline"}, "^org/.* it has no vae, unet, text_encoder, text_en"),
    ],
)
def test_what_the_hub_has_is_looked_at_before_the_first_stage(no_hub, tmp_path, monkeypatch, index, message):
    asked = []

    def give(model_id, *, allow_patterns, cache_dir, **settings):
        asked.extend(allow_patterns)
        (tmp_path / "given").mkdir(exist_ok=True)
        (tmp_path / "given" / "model_index.json").write_text(json.dumps(index))
        return tmp_path / "given"

    on_the_hub(monkeypatch, give)
    base = Pretrained(kind="pretrained", id=f"org/{index['_class_name']}", revision=COMMIT)
    with pytest.raises(DataError, match=message) as caught:
        base.require()
    assert caught.value.field == "training.base"
    assert not any("safetensors" in pattern for pattern in asked)
    assert not base.is_here  # what was fetched does not pass for the model


REFUSED = {
    "GatedRepoError": (
        "is given only to who has accepted its terms",
        "https://huggingface.co/org/m, then run: hf auth",
    ),
    "RepositoryNotFoundError": ("the hub has no model org/m", "if it is private, run: hf auth login"),
    "RevisionNotFoundError": ("the hub has no model org/m", "look at the name of the revision"),
}


@pytest.mark.parametrize(("error", "message", "hint"), [(name, *texts) for name, texts in REFUSED.items()])
def test_what_the_hub_refuses_is_told_with_what_to_do(no_hub, monkeypatch, error, message, hint):
    def refuse(*args, **settings):
        raise getattr(errors, error)("no", response=SimpleNamespace(headers={}, request=None))

    on_the_hub(monkeypatch, refuse)
    with pytest.raises(EnvironmentLacks, match=message) as caught:
        Pretrained(kind="pretrained", id="org/m", revision=COMMIT).require()
    assert hint in caught.value.hint
