"""The whole pipeline on real images, with small models: labelled patches and unlabelled chest X-rays."""

import json

import pytest
from click.testing import CliRunner
from small_data import tiny_settings, write_recipe

from mep.artifacts import Samples
from mep.cli.main import main


def run(settings, tmp_path):
    recipe = write_recipe(tmp_path / "real.yaml", settings)
    done = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), "run", str(recipe)])
    assert done.exit_code == 0, done.output
    return tmp_path / "runs", done


def samples(runs):
    return {folder: Samples(folder) for folder in sorted((runs / "store" / "generation").iterdir())}


def test_patches_of_lymph_nodes_go_from_files_to_scores(pcam, tmp_path):
    settings = tiny_settings(pcam)
    settings["modality"] = "histopathology"
    settings["dataset"]["holdout"] = {"splits": ["test", "validation"]}
    settings["clustering"]["method"]["k"] = 3
    settings["generation"]["allocation"]["images"] = 30
    runs, done = run(settings, tmp_path)
    assert "100 train, 70 held out, 2 labels" in done.stderr
    found = json.loads(CliRunner().invoke(main, ["--runs", str(runs), "report", "--format", "json"]).stdout)
    assert "fd" in json.dumps(found)
    for one in samples(runs).values():
        assert {row["label"] for row in one.rows} == {"cancer", "healthy"}


def test_chest_x_rays_without_labels_go_from_files_to_scores(cxr, tmp_path):
    settings = tiny_settings(cxr)
    settings |= {"modality": "cxr", "arms": {"one-caption": {"prompts": {"template": "Chest X-ray"}}, "mep": {}}}
    settings["dataset"].pop("label")
    settings["prompts"]["template"] = "Chest X-ray, appearance type {cluster:words}"
    settings["generation"]["allocation"] = {"kind": "per_label", "images": 6}
    runs, done = run(settings, tmp_path)
    assert "38 train, 12 held out, 0 labels" in done.stderr or "40 train, 10 held out, 0 labels" in done.stderr
    texts = {row["text"] for one in samples(runs).values() for row in one.rows}
    assert "Chest X-ray" in texts
    assert "Chest X-ray, appearance type zero" in texts


def test_the_synthetic_dataset_is_an_imagefolder_that_datasets_reads(tiny_recipe, tmp_path):
    from datasets import load_dataset

    done = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), "run", str(tiny_recipe)])
    assert done.exit_code == 0, done.output
    folder, one = next(iter(samples(tmp_path / "runs").items()))
    data = load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(data) == len(one) == 10
    assert {"image", "text", "label", "cluster", "prompt_id", "seed", "sha256"} <= set(data.column_names)
    assert data[0]["image"].size == (32, 32)
    assert data["text"] == pytest.approx([row["text"] for row in one.rows]) or set(data["text"]) == {
        row["text"] for row in one.rows
    }
