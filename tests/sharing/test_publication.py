"""A model and a dataset that others load, without anything of a patient."""

import io
import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from drawn_run import RUN, Drawn
from PIL import Image
from shared_run import artifact_of, mep

from mep.recipe import load_recipe


def front_of(card):
    return yaml.safe_load(card.split("---\n")[1])


def code_of(card):
    return re.search(r"```python\n(.*?)```", card, re.S)[1]


def samples_of(house):
    folder = house.store.folder(artifact_of(house, "generation"))
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()], folder


def test_the_code_of_the_model_card_draws_an_image(published, monkeypatch):
    card = (published / "model" / "README.md").read_text()
    monkeypatch.chdir(published.parent)
    names = {}
    exec(code_of(card), names)
    assert names["image"].size == (16, 16)
    front = front_of(card)
    assert front["library_name"] == "diffusers"
    assert front["license"] == "cc-by-4.0"
    kid = [row for row in front["model-index"][0]["results"][0]["metrics"] if row["type"] == "kid"]
    assert kid[0]["value"] == pytest.approx(0.0312)


def test_datasets_streams_the_images_of_the_dataset_with_prompt_and_label(house, published, monkeypatch):
    from datasets import load_dataset

    monkeypatch.chdir(published.parent)
    data = load_dataset(f"{published.name}/dataset", split="train", streaming=True)
    rows, folder = samples_of(house)
    by_seed = {(row["label"], row["seed"]): row for row in rows}
    shown = list(data)
    assert len(shown) == len(rows) == 4
    names = data.features["label"].names
    assert names == ["benign", "tumour"]
    for row in shown:
        sample = by_seed[names[row["label"]], row["seed"]]
        assert row["prompt"] == sample["text"]
        assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(folder / sample["file_name"])))
    front = front_of((published / "dataset" / "README.md").read_text())
    assert front["dataset_info"]["splits"][0]["num_examples"] == 4


def test_croissant_leads_to_the_same_images(published):
    croissant = pytest.importorskip("mlcroissant")
    dataset = croissant.Dataset(str(published / "dataset" / "croissant.json"))
    records = list(dataset.records("samples"))
    shard = pq.read_table(published / "dataset" / "data").to_pylist()
    assert [row["samples/image"].size for row in records] == [(40, 40)] * 4
    assert [row["samples/prompt"].decode() for row in records] == [row["prompt"] for row in shard]
    assert dataset.metadata.license == ["https://spdx.org/licenses/CC-BY-4.0"]


def test_nothing_of_a_real_image_leaves(house, published):
    """Neither its bytes nor its pixels, name or folder, nor the name of this machine's user."""
    pictures = [np.asarray(Image.open(path)).tobytes() for path in sorted(house.folder.iterdir())]
    texts = {str(house.root), "/images", *house.ids}
    for path in published.rglob("*"):
        if path.is_dir():
            continue
        content = path.read_bytes()
        assert all(text.encode() not in content for text in texts), path
        if path.suffix == ".parquet":
            for row in pq.read_table(path).to_pylist():
                image = Image.open(io.BytesIO(row["image"]["bytes"]))
                assert not image.info
                assert np.asarray(image).tobytes() not in pictures


def test_both_cards_have_the_verdict_the_lock_and_what_may_be_told_of_patients(published):
    for kind in ("model", "dataset"):
        card = (published / kind / "README.md").read_text()
        assert "mep is better than label-only" in card
        assert "This does not prove that no patient can be found" in card
        assert "Nobody looked for copies" in card  # this run has no features of real images
        lock = load_recipe(published / kind / "recipe.lock.yaml", paths_must_exist=False)
        assert (lock.name, list(lock.arms)) == ("drawn", ["label-only", "mep"])
        assert json.loads((published / kind / "results.json").read_text())["verdict"]


def test_the_same_again_is_reused_and_something_else_is_refused(house, published):
    again = mep(house, "publish", "--license", "CC-BY-4.0", "--publisher", "A Hospital", "--output", published)
    assert (again.exit_code, again.stdout.strip()) == (0, str(published))
    other = mep(house, "publish", "--arm", "label-only", "--output", published)
    assert (other.exit_code, "holds something else" in other.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--arm", "nope"], "known: label-only, mep"),
        (["--to", "org/name"], "wanted hf://ORGANISATION/NAME"),
        (["--license", "all rights reserved"], "is no licence"),
        (["--to", "hf://datasets/a/b", "--only", "model"], "is for a dataset"),
        (["nope"], "is no run"),
    ],
)
def test_what_cannot_be_is_told_in_words(house, arguments, told):
    done = mep(house, "publish", *arguments)
    assert (done.exit_code, told in done.stderr) == (2, True), done.output


def test_a_run_that_has_not_come_to_its_end_is_not_published(tmp_path):
    drawn = Drawn(tmp_path)
    drawn.shared_stages()
    drawn.end("failed", "no memory")
    done = mep(drawn, "publish", "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert f"run {RUN} is failed: what is shared comes from a finished run" in done.stderr
    assert f"hint: carry it on: mep resume {RUN}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_samples_that_were_collected_are_missed_before_anything_is_written(house, tmp_path):
    folder = house.store.folder(artifact_of(house, "generation", "label-only"))
    aside = tmp_path / "aside"
    shutil.move(folder, aside)
    try:
        done = mep(house, "publish", "--arm", "label-only", "--only", "dataset", "--output", tmp_path / "out")
    finally:
        shutil.move(aside, folder)
    assert (done.exit_code, "has no synthetic images" in done.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == []
