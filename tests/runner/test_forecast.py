"""What `mep plan` says before anything runs."""

import json

import pytest
from click.testing import CliRunner
from small_data import REPOSITORY, draw_imagefolder, tiny_settings, write_recipe
from tiny_families import build_sdxl

from mep.artifacts import Prompt
from mep.cli.main import main
from mep.errors import DataError
from mep.methods.bases.pretrained import Pretrained
from mep.recipe import load_recipe
from mep.runner.caption_lengths import longest_captions
from mep.runner.forecast import forecast
from mep.runner.plan import make_plan
from mep.runner.prompts_ahead import sure_prompts
from mep.runner.run import run
from mep.store import Store

TINY_ARMS = {"label-only": (2, 10), "mep": (4, 10)}
"""Arm -> prompts and samples: two labels, two clusters, five images a label."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("forecast")
    return write_recipe(root / "tiny.yaml", tiny_settings(draw_imagefolder(root / "images"))), Store(root / "runs")


def ahead(recipe, store, *overrides):
    return forecast(make_plan(load_recipe(recipe, overrides), store), store)


def test_counts_are_told_before_anything_has_run_and_cost_after_a_first_run(place):
    recipe, store = place
    before = ahead(recipe, store)
    assert {arm.arm: (arm.prompts, arm.samples) for arm in before.arms} == TINY_ARMS
    assert [(arm.images, arm.labels, arm.steps, arm.are_known) for arm in before.arms] == [(40, 2, 6, False)] * 2
    assert (before.time_s, "training" in before.untimed) == (None, True)
    assert before.disk_bytes > 20 * 32 * 32
    run(load_recipe(recipe), store)
    after = ahead(recipe, store)
    assert (after.disk_bytes, after.time_s, after.untimed) == (0, 0.0, [])
    assert all(arm.are_known and arm.training_images for arm in after.arms)
    longer = ahead(recipe, store, "training.steps=6000")
    assert longer.time_s > 100 * ahead(recipe, store, "training.steps=6", "training.learning_rate=2e-3").time_s / 10
    assert longer.memory_mb > 100


def test_captions_that_the_text_encoder_cannot_tell_apart_are_named(place):
    recipe, store = place
    words = " ".join(["very"] * 40)
    notes = ahead(recipe, store, f"arms.mep.prompts.template='{words} {{label}}'").notes
    assert notes[0].startswith("at least 163 tokens, of which 32 are read: very very")
    folder = recipe.parent / "shouting"
    folder.mkdir()
    loud = tiny_settings(draw_imagefolder(folder / "images"))
    rows = (folder / "images" / "metadata.jsonl").read_text().replace("healthy", "Healthy", 1)
    (folder / "images" / "metadata.jsonl").write_text(rows)
    notes = ahead(write_recipe(folder / "shouting.yaml", loud), store).notes
    assert notes[0] == "2 prompts have the same caption: histology image of healthy tissue"


def test_a_class_of_one_image_is_said_to_shrink_a_balanced_set_before_it_runs(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images")) | {
        "balancing": {"method": "uniform_per_prompt"},
        "dataset": {"source": {"kind": "imagefolder", "path": "images"}, "label": "label"},
    }
    metadata = tmp_path / "images" / "metadata.jsonl"
    first, _, others = metadata.read_text().partition("\n")
    metadata.write_text(json.dumps(json.loads(first) | {"label": "rare"}) + "\n" + others)
    recipe, store = write_recipe(tmp_path / "starving.yaml", settings), Store(tmp_path / "runs")
    told = "rare has 1 image: every other one is cut to 1, without it to "
    shown = CliRunner().invoke(main, ["--runs", str(store.root), "plan", str(recipe)])
    assert f"note: balancing: {told}19, at most" in shown.stdout + shown.stderr


def test_a_caption_that_is_too_long_ends_a_run_before_its_first_stage(place, tmp_path):
    recipe, _ = place
    changed = "training.base.text={width: 16, layers: 1, tokens: 10}"
    with pytest.raises(
        DataError, match=r"tissue, morphology type zero' has \d\d tokens, the text encoder takes 10, and 1 more"
    ) as told:
        run(load_recipe(recipe, [changed]), Store(tmp_path / "runs"))
    assert told.value.field == "prompts.template"
    assert not [*(tmp_path / "runs").glob("*-tiny")]  # no run was begun
    # how many clusters there will be is not known: two are sure, and those have short names
    many = ["clustering.method.k={choose: [2, 50]}", "training.base.text={width: 16, layers: 1, tokens: 12}"]
    arm = load_recipe(recipe, [*many, "prompts.template='{cluster:words} {cluster:words} {cluster:words}'"]).arms["mep"]
    assert {prompt.cluster for several in sure_prompts(arm) for prompt in several} == {0, 1}


def test_captions_of_labels_and_clusters_that_may_be_left_out_end_no_run(place, tmp_path):
    folder, settings = draw_imagefolder(tmp_path / "images"), tiny_settings(tmp_path / "images")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rare = [row | {"label": "rare"} for row in rows[:4]]  # all of one slide
    lines = [f"{row['file_name']},{row['label']},{row['slide']},test" for row in rare]
    lines += [f"{row['file_name']},{row['label']},{row['slide']},train" for row in rows[4:]]
    (folder / "all.csv").write_text("\n".join(["path,label,slide,split", *lines]))
    source = {"kind": "manifest", "path": str(folder / "all.csv"), "split": "split"}
    settings["dataset"] = {"source": source, "label": "label"}
    recipe = write_recipe(tmp_path / "rare.yaml", settings)

    def sure(file, *changes):
        return sure_prompts(load_recipe(file, changes).arms["mep"])

    def is_sure(*changes):
        return "rare" in {prompt.label for several in sure(recipe, *changes) for prompt in several}

    assert not is_sure("dataset.holdout.splits=[test]", "dataset.validation.fraction=0.1")
    assert not is_sure("dataset.holdout.fraction=0.25")  # all four may be drawn: 0.25 ** 4 is 0.004
    assert is_sure("dataset.holdout.fraction=0.1")
    assert not is_sure("dataset.holdout.fraction=0.1", "dataset.group=slide")
    many = ["clustering.method.k=30", "prompts.template='{cluster:words}'"]
    assert len(sure(place[0], *many, "balancing.method=none")) == 30
    assert len(sure(place[0], *many, "balancing.method=uniform_per_prompt")) == 1  # only one cluster need be left


@pytest.mark.parametrize("learns", [True, False])
def test_a_new_token_that_is_learned_is_one_of_a_caption(place, learns):
    recipe, _ = place
    method = "training.method={kind: lora, rank: 2, new_tokens: {begin: tissue}}"
    changes = ["prompts.template='{label} <morph-{cluster}>'", "training.base.text={width: 16, layers: 1, tokens: 14}"]
    arm = load_recipe(recipe, [*changes, *([method] if learns else [])]).arms["mep"]
    longest = longest_captions(arm, [Prompt("a", "tissue " * 9 + "<morph-0>", "a", 0, 1)])
    assert bool(longest) != learns


def test_a_model_to_download_is_named_with_its_revision(place, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe, store = place
    base = "{kind: pretrained, id: someone/diffusion, revision: main, resolution: 512}"
    shown = CliRunner().invoke(
        main, ["--runs", str(store.root), "plan", str(recipe), "--set", f"training.base={base}", "--json"]
    )
    found = json.loads(shown.stdout)
    wanted = {"id": "someone/diffusion", "revision": "main", "bytes": None}
    assert found["downloads"] == {"training: someone/diffusion": wanted}
    assert "someone/diffusion" in found["lacks"][0]


def test_a_plan_of_many_arms_is_short(tmp_path):
    values = ", ".join(map(str, range(50)))
    matrix = ["--set", f"matrix={{axes: {{seed: {{field: seed, values: [{values}]}}}}}}"]
    recipe = tmp_path / "many.yaml"
    recipe.write_text((REPOSITORY / "recipes/starter.yaml").read_text().partition("\narms:")[0])
    shown = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), "plan", str(recipe), *matrix])
    assert shown.exit_code == 0, shown.output
    assert "seed-0 ... seed-49 (50)" not in shown.stdout  # every arm draws on its own
    assert shown.stdout.count("seed-49") > 1


def test_arithmetic_is_told_and_float32_on_a_gpu_is_noted(place, monkeypatch):
    recipe, store = place
    changes = ["training.steps=7", "arms.mep.generation.precision=bf16"]
    before = ahead(recipe, store, *changes)
    assert before.arithmetic == {"training": ["fp32"], "generation": ["fp32", "bf16"]}
    assert not any("on a GPU" in note for note in before.notes)
    monkeypatch.setattr("mep.runner.forecast.resolve_device", lambda device: "cuda")
    noted = [note for note in ahead(recipe, store, *changes).notes if "on a GPU" in note]
    assert [note.split(":")[0] for note in noted] == ["training.precision", "generation.precision"]
    changes = ["training.precision=tf32", "generation.precision=bf16"]
    assert not any("on a GPU" in note for note in ahead(recipe, store, *changes).notes)


def test_the_tokenizers_of_a_base_in_a_folder_are_asked_before_it_is_loaded(place, tmp_path, monkeypatch):
    build_sdxl(tmp_path / "sdxl")
    monkeypatch.setattr(Pretrained, "build", None)
    changes = [f"training.base={{kind: pretrained, path: {tmp_path / 'sdxl'}, resolution: 16}}"]
    arm = load_recipe(place[0], changes).arms["mep"]
    (most, _), _ = arm.training.base.tokenizers()
    fits, long = (Prompt("a", "tissue " * n, "a", 0, 1) for n in (most - 2, most - 1))
    assert longest_captions(arm, [fits, long]) == [(long.text, most + 1, most)]
