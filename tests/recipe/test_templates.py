"""The recipes that come with mep."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner
from dicom_files import draw_dicom_folder
from findings_data import draw_findings_folder
from nifti_files import draw_nifti_folder
from slide_files import draw_slide_folder
from small_data import REPOSITORY, SMALL, TINY_BASE, draw_imagefolder
from tiny_families import TINY_DIT, build_sd3, build_sdxl

from mep.cli.main import main
from mep.recipe import load_recipe
from mep.recipe.templates import question_of, templates
from mep.runner.forecast import forecast
from mep.runner.plan import make_plan
from mep.runner.run import run
from mep.store import Store

OF_FORMATS = ("dicom", "mri-slices", "slides", "cxr-findings")
OF_THE_SAMPLE = ("quickstart", "claim", "conditions", "starter", "made-elsewhere", "samples-elsewhere", "cluster-codes")
NOTHING_FETCHED = (*OF_THE_SAMPLE, "photographs", *OF_FORMATS)
RECIPES = sorted(REPOSITORY.glob("recipes/*.yaml"))
FOUND_WHILE_RUNNING = ("pcam-hdbscan", "made-elsewhere", "cluster-codes")
"""Recipes of which nobody knows the clusters, or the captions, before they run."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_opens_with_its_schema_its_question_its_command_and_its_cost(path):
    head = path.read_text().partition("\nmep: 2\n")[0]
    assert head.startswith("# yaml-language-server: $schema=../schemas/recipe.schema.json\n")
    assert question_of(path).endswith("?")
    assert f"mep run recipes/{path.name}" in head
    assert re.search(r"GB|unknown", head), "says what memory it takes, or that it is not known"
    assert load_recipe(path, paths_must_exist=False).name == path.stem


def test_the_templates_are_listed_with_what_each_recipe_asks():
    shown = CliRunner().invoke(main, ["init", "--list"]).stdout
    assert all(name in shown for name in templates())


def test_a_new_recipe_is_a_copy_that_validates_and_knows_its_schema(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["init", "mine.yaml"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mine.yaml").read_text().startswith("# yaml-language-server: $schema=recipe.schema.json\n")
    assert (tmp_path / "recipe.schema.json").read_text() == (REPOSITORY / "schemas/recipe.schema.json").read_text()
    assert CliRunner().invoke(main, ["validate", "mine.yaml"]).exit_code == 0


def test_a_new_recipe_has_the_tables_that_it_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = ["init", "mine.yaml", "--from", "made-elsewhere"]
    assert CliRunner().invoke(main, start).exit_code == 0
    assert load_recipe("mine.yaml").arms["types"].clustering.method.path == tmp_path / "made-elsewhere" / "types.csv"
    (tmp_path / "mine.yaml").unlink()
    again = CliRunner().invoke(main, start)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)


def test_a_new_recipe_overwrites_nothing(tmp_path):
    target = tmp_path / "mine.yaml"
    target.write_text("mine")
    done = CliRunner().invoke(main, ["init", str(target)])
    assert (done.exit_code, target.read_text()) == (2, "mine")
    assert "is there already" in done.stderr


def test_a_template_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    done = CliRunner().invoke(main, ["init", str(tmp_path / "a.yaml"), "--from", "quikstart"])
    assert (done.exit_code, "did you mean 'quickstart'?" in done.stderr) == (2, True)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """The gallery beside data as its recipes want it, a few drawn images each."""
    root = tmp_path_factory.mktemp("gallery")
    shutil.copytree(REPOSITORY / "recipes", root / "recipes")
    (root / "data").mkdir()
    for name in ("pcam", "rsna", "photographs"):
        draw_imagefolder(root / "data" / name)
        (root / "data" / name / "metadata.jsonl").unlink()
    draw_dicom_folder(root / "data" / "dicom")
    draw_nifti_folder(root / "data" / "mri")
    draw_slide_folder(root / "data" / "slides")
    draw_findings_folder(root / "data" / "cxr-findings", 24)
    for number, path in enumerate(sorted((root / "data" / "pcam").glob("*.png"))):
        folder = path.parent / ("healthy", "cancer")[number % 2]
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    return root


@pytest.mark.parametrize("name", [path.stem for path in RECIPES])
def test_every_recipe_validates_and_plans(name, copies, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(copies / "hub"))
    path = copies / "recipes" / f"{name}.yaml"
    plan = CliRunner().invoke(main, ["--runs", str(copies / "runs"), "plan", str(path), "--json"])
    assert plan.exit_code == 0, plan.output
    found = json.loads(plan.stdout)
    assert len(found["arms"]) == len(load_recipe(path).arms) >= 2
    assert all(arm["images"] for arm in found["arms"])
    assert all(arm["prompts"] and arm["samples"] for arm in found["arms"]) or name in FOUND_WHILE_RUNNING
    assert found["notes"] == []
    fetched = {name.partition(": ")[2] for name in found["downloads"]}
    assert bool(fetched) == (name not in NOTHING_FETCHED)


def test_the_recipe_of_the_paper_has_66_captions_for_33_clusters_of_two_labels(copies):
    recipe = load_recipe(copies / "recipes" / "pcam.yaml")
    store = Store(copies / "runs")
    prompts = {arm.arm: arm.prompts for arm in forecast(make_plan(recipe, store), store).arms}
    assert prompts == {"label-only": 2, "mep": 66, "shuffled-clusters": 66}


@pytest.mark.parametrize(
    ("name", "more"),
    [("dicom", []), ("mri-slices", ["dataset.source.every=1"]), ("slides", ["dataset.source.tile_px=64"])],
)
def test_a_recipe_of_a_format_runs_on_real_files_to_its_end(name, more, copies):
    settings = [word for setting in [*SMALL, *more] for word in ("--set", setting)]
    path = copies / "recipes" / f"{name}.yaml"
    done = CliRunner().invoke(main, ["--runs", str(copies / "runs"), "run", str(path), *settings])
    assert done.exit_code == 0, done.output
    assert "kid" in done.output


OF_FAMILIES = {
    "pcam-sdxl-lora": (build_sdxl, ["mep"]),
    "pcam-sd35-lora": (build_sd3, ["mep"]),
    "pcam-dit": (TINY_DIT, ["mep"]),
    "pcam-learned-words": (TINY_BASE, ["learned"]),
    "pcam-embedding": (TINY_BASE, ["embedding", "class"]),
}
"""Recipes for a GPU; a model of their family that a CPU trains in a second, from scratch or built in a folder; arms."""
TINY = [
    *("embedding.model=handcrafted", "outliers.method=none", "clustering.method={kind: kmeans, k: 2}"),
    *("balancing.method=none", "training.steps=2", "training.global_batch_size=4", "training.watch.looks=0"),
    *("generation.allocation.images=2", "generation.sampler.steps=2", "metrics.extractors=[random_conv]"),
    *("metrics.eval_resolution=16", "utility.probe=none", "dataset.validation.fraction=0.2", "machine.device=cpu"),
]


@pytest.mark.parametrize("name", OF_FAMILIES)
def test_a_recipe_for_a_gpu_runs_with_a_tiny_model_of_its_family_to_its_end(name, copies, tmp_path):
    model, arms = OF_FAMILIES[name]
    changed = {"id": None, "revision": "main", "path": str(tmp_path / "model"), "resolution": 16}
    if isinstance(model, dict):
        settings = [f"training.base={json.dumps(model)}"]
    else:
        model(tmp_path / "model")
        settings = [f"training.base.{field}={json.dumps(value)}" for field, value in changed.items()]
    recipe = load_recipe(copies / "recipes" / f"{name}.yaml", [*TINY, *settings])
    store = Store(tmp_path / "runs")
    run(replace(recipe, arms={arm: recipe.arms[arm] for arm in arms}), store)
    measured = store.db.query("SELECT DISTINCT arm FROM run_scores WHERE metric = 'kid' AND subject = 'samples'")
    assert [row["arm"] for row in measured] == arms
    attacked = store.db.query("SELECT arm FROM run_scores WHERE metric = 'membership_loss' AND value BETWEEN 0 AND 1")
    assert [row["arm"] for row in attacked] == arms
