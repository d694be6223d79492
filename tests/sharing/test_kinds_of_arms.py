"""LoRA weights, what was made elsewhere, and captions that speak of a patient."""

import json
import shutil
import zipfile

import pytest
import yaml
from drawn_run import RUN
from shared_run import artifact_of, change, copy_of, mep
from test_publication import code_of, front_of

from mep.machine.files import read_json, write_json
from mep.sharing import shards


@pytest.fixture(scope="module")
def adapted(house, tmp_path_factory):
    """The run with a LoRA in the place of the model of the arm `mep`."""
    folder = tmp_path_factory.mktemp("adapted")
    model, _ = house.inputs.train(folder / "trained", method="lora", steps=1)
    drawn = copy_of(house, folder)

    def replaced(artifact):
        for part in ("lora", "kohya"):
            shutil.copytree(model.folder / part, artifact / part)

    change(drawn.store, artifact_of(drawn, "training"), replaced)
    return drawn


def test_lora_weights_lie_beside_their_base_and_are_loaded_by_the_code_of_the_card(adapted, tmp_path, monkeypatch):
    done = mep(adapted, "publish", "--only", "model", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    model = tmp_path / "out" / "model"
    files = {path.relative_to(model).as_posix() for path in model.rglob("*")}
    assert {"pytorch_lora_weights.safetensors", "kohya/lora.safetensors", "model_index.json"} <= files
    assert str(adapted.root.parent).encode() not in (model / "pytorch_lora_weights.safetensors").read_bytes()
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code_of((model / "README.md").read_text()), names)
    assert names["image"].size == (16, 16)


def test_lora_weights_of_a_base_on_the_hub_leave_alone_under_its_licence(adapted, tmp_path):
    of_hub = {"kind": "pretrained", "id": "org/base", "revision": "a" * 40, "license": "openrail"}
    drawn = copy_of(adapted, tmp_path)
    name = artifact_of(drawn, "base")
    change(drawn.store, name, lambda folder: write_json(folder / "base.json", of_hub | {"resolution": 16}))
    done = mep(drawn, "publish", "--license", "mit", "--json", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    names = [file for file in json.loads(done.stdout)["files"] if file.startswith("model/")]
    assert "model/pytorch_lora_weights.safetensors" in names
    assert not any("unet" in file or "vae" in file for file in names)
    card = (tmp_path / "out" / "model" / "README.md").read_text()
    assert f'from_pretrained("org/base", revision="{"a" * 40}")' in card
    front = front_of(card)
    assert (front["license"], front["base_model"], front["base_model_relation"]) == ("openrail", "org/base", "adapter")
    assert front_of((tmp_path / "out" / "dataset" / "README.md").read_text())["license"] == "mit"


def test_new_tokens_lie_below_their_folder_and_are_loaded_by_the_code_of_the_card(house, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import save_file

    drawn = copy_of(house, tmp_path)

    def with_token(folder):
        (folder / "tokens").mkdir()
        save_file({"<morph-7>": torch.ones(16)}, folder / "tokens" / "morph-7.safetensors")

    change(drawn.store, artifact_of(drawn, "training"), with_token)
    done = mep(drawn, "publish", "--only", "model", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code_of((tmp_path / "out" / "model" / "README.md").read_text()), names)
    assert "<morph-7>" in names["pipeline"].tokenizer.get_vocab()


def elsewhere(house, folder, field):
    """The run, as if of the arm `mep` something had been made elsewhere."""
    drawn = copy_of(house, folder)
    row = {"run_id": RUN, "arm": "mep", "field": field, "value": '"imagefolder"', "origin": "recipe.yaml:1:1"}
    with drawn.store.db.write() as db:
        db.table("parameters").insert(row)
    return drawn


def test_images_that_were_made_elsewhere_are_not_published(house, tmp_path):
    drawn = elsewhere(house, tmp_path, "samples.source.kind")
    done = mep(drawn, "publish", "--only", "dataset", "--output", tmp_path / "out")
    assert (done.exit_code, "nobody here knows that they show no patient" in done.stderr) == (2, True)


def test_of_a_model_that_was_made_elsewhere_only_the_images_are_published(house, tmp_path):
    drawn = elsewhere(house, tmp_path, "samples.pipeline")
    done = mep(drawn, "publish", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dataset", "published.json"]
    refused = mep(drawn, "publish", "--only", "model", "--output", tmp_path / "other")
    assert (refused.exit_code, "the model of arm mep came from elsewhere" in refused.stderr) == (2, True)


def test_a_caption_of_one_patient_and_every_name_made_from_it_stay_behind(house, tmp_path):
    drawn = copy_of(house, tmp_path)

    def named(folder):
        prompts = read_json(folder / "prompts.json")
        prompts[1] |= {"text": "tumour of Jane Roe", "id": "name-jane-roe", "columns": {"name": "Jane Roe"}}
        write_json(folder / "prompts.json", prompts)

    def drawn_for(folder):
        shutil.move(folder / "images" / "p1", folder / "images" / "name-jane-roe")
        text = (folder / "metadata.jsonl").read_text()
        text = text.replace("images/p1/", "images/name-jane-roe/").replace('"p1"', '"name-jane-roe"')
        rows = [json.loads(line) for line in text.splitlines()]
        rows = [row | ({"text": "tumour of Jane Roe"} if "jane" in row["prompt_id"] else {}) for row in rows]
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    change(drawn.store, artifact_of(drawn, "prompts"), named)
    change(drawn.store, artifact_of(drawn, "generation"), drawn_for)
    done = mep(drawn, "publish", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "1 caption stays here" in done.stderr
    crate = tmp_path / "run.zip"
    assert mep(drawn, "export", "--format", "ro-crate", "--samples", "--output", crate).exit_code == 0
    with zipfile.ZipFile(crate) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= {str(path): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert [name for name, content in contents.items() if b"jane" in content.lower()] == []
    everything = mep(drawn, "publish", "--captions", "all", "--only", "dataset", "--output", tmp_path / "all")
    assert everything.exit_code == 0
    assert any(b"Jane Roe" in path.read_bytes() for path in (tmp_path / "all").rglob("*.parquet"))


def test_many_images_are_several_shards_of_one_dataset(house, tmp_path, monkeypatch):
    from datasets import load_dataset

    monkeypatch.setattr(shards, "SHARD_BYTES", 5_000)  # of these images, one or two
    done = mep(house, "publish", "--only", "dataset", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "out" / "dataset" / "data").iterdir())
    assert len(names) > 1
    assert names[0] == f"train-00000-of-{len(names):05d}.parquet"
    data = load_dataset(str(tmp_path / "out" / "dataset"), split="train", streaming=True)
    assert len({row["seed"] + 100 * row["label"] for row in data}) == 4
    listed = read_json(tmp_path / "out" / "dataset" / "croissant.json")["distribution"]
    assert [one["name"] for one in listed if one["@type"] == "cr:FileObject"] == names
    assert yaml.safe_load((tmp_path / "out" / "dataset" / "recipe.lock.yaml").read_text())["mep"] == 2
