"""Synthetic images and models that were made elsewhere, as arms beside those that are trained here."""

import shutil

import pytest
from PIL import Image
from small_data import REPOSITORY, draw_imagefolder, tiny_settings, write_recipe

from mep.artifacts import Privacy, Samples, Scores, Utility
from mep.errors import DataError, RecipeError, UsageError
from mep.reader_study.study import Design, draw
from mep.recipe import load_recipe
from mep.report import comparison, gather
from mep.report.data.arms import read_arms
from mep.report.data.controlled import controlled
from mep.report.page.html import write_html
from mep.runner.forecast import forecast
from mep.runner.plan import make_plan
from mep.runner.run import run
from mep.runner.samples import arms_of
from mep.runner.why import why
from mep.store import Store

UNTRAINED = {"latents", "training", "guidance"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run with two arms: its folder, its settings, its store and what its arms used. `gan/` holds the samples of one,
    `pipeline/` the model of it."""
    root = tmp_path_factory.mktemp("samples")
    settings = tiny_settings(draw_imagefolder(root / "images"))
    settings["metrics"]["calibrate"] = False
    store = Store(root / "runs")
    run_id = run(load_recipe(write_recipe(root / "first.yaml", settings)), store)
    used = used_by(store, run_id)
    shutil.copytree(
        store.folder(used["mep"]["generation"]), root / "gan", ignore=shutil.ignore_patterns("__*", "*.json")
    )
    shutil.copytree(store.folder(used["mep"]["training"]) / "pipeline", root / "pipeline")
    return root, settings, store, used


def used_by(store, run_id):
    return {arm.name: arm.used for arm in read_arms(store, [run_id])}


def with_arm(first, name, samples, **changes):
    root, settings, _, _ = first
    changed = settings | {"name": name, "arms": settings["arms"] | {"gan": {"samples": samples}}} | changes
    return load_recipe(write_recipe(root / f"{name}.yaml", changed))


def numbers(store, used):
    scores = store.load(Scores, used["metrics"], None)
    utility = store.load(Utility, used["utility"], None)
    privacy = [row for row in store.load(Privacy, used["privacy"], None).rows if "nearest" in row.metric]
    assert len(privacy) > 1
    rows = [row.to_json() for row in [*scores.rows, *utility.rows, *privacy]]
    wanted = ("metric", "subject", "reference", "group", "value", "se", "low", "high", "n_real", "n_fake", "matched_by")
    return [{name: row.get(name) for name in wanted} for row in rows]


IMAGES = {"source": {"kind": "imagefolder", "path": "gan"}, "prompt": "prompt_id"}


def test_samples_copied_out_of_a_run_give_its_numbers_to_the_last_digit(first):
    _, _, store, _ = first
    run_id = run(with_arm(first, "copied", IMAGES), store)
    used = used_by(store, run_id)
    assert not UNTRAINED & used["gan"].keys()
    assert numbers(store, used["gan"]) == numbers(store, used["mep"])
    rows = store.load(Samples, used["gan"]["generation"], None).rows
    assert [row["source"] for row in rows] == sorted(row["file_name"] for row in rows)
    compared = comparison(store, [run_id])
    assert compared.missing == {}
    said = controlled(store, read_arms(store, [run_id]))
    assert said.sentence.endswith("gan was made elsewhere: what images it saw, and how often, is not known here.")
    study = draw(store, run_id, Design(n_images=8, arms=("gan",), seed=1))
    assert {item.arm for item in study.items} == {"", "gan"}


def test_a_model_that_was_trained_elsewhere_draws_what_it_drew_here(first):
    _, _, store, _ = first
    used = used_by(store, run(with_arm(first, "drawn", {"pipeline": "pipeline"}), store))
    assert "latents" not in used["gan"]
    assert (
        store.load(Samples, used["gan"]["generation"], None).rows
        == store.load(Samples, used["mep"]["generation"], None).rows
    )
    assert numbers(store, used["gan"]) == numbers(store, used["mep"])


def test_the_allocation_says_how_many_are_taken_by_lot(first):
    _, settings, store, _ = first
    fewer = {"generation": settings["generation"] | {"allocation": {"kind": "per_label", "images": 3}}}
    used = used_by(store, run(with_arm(first, "fewer", IMAGES, **fewer), store))
    rows = store.load(Samples, used["gan"]["generation"], None).rows
    assert sorted(row["label"] for row in rows) == ["cancer"] * 3 + ["healthy"] * 3


def test_folders_that_are_called_like_labels_are_labels(first, tmp_path):
    root, _, store, _ = first
    for number, path in enumerate(sorted((root / "gan").rglob("*.png"))):
        folder = root / "by-label" / ("tumour", "healthy")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.name.replace("0000", str(number)))
    other = {"source": {"kind": "imagefolder", "path": "by-label"}}
    with pytest.raises(DataError, match=r"5 of 10 samples have something in column 'label' that is no label") as caught:
        run(with_arm(first, "unlike", other), store)
    assert "samples.label_names" in caught.value.hint
    named = other | {"label_names": {"tumour": "cancer"}}
    used = used_by(store, run(with_arm(first, "named", named), store))
    rows = store.load(Samples, used["gan"]["generation"], None).rows
    assert {(row["label"], row["cluster"]) for row in rows} == {("cancer", None), ("healthy", None)}


def test_nothing_is_counted_as_a_training_that_was_none(first):
    recipe = with_arm(first, "seeds", IMAGES, seeds=3)
    assert [arm for arm in recipe.arms if arm.startswith("gan")] == ["gan"]
    assert "mep#3" in recipe.arms
    root, settings, _, _ = first
    arms = {"gan": {"samples": IMAGES}, **settings["arms"]}
    changed = settings | {"arms": arms, "controls": ["negative", "positive"]}
    changed["dataset"] = settings["dataset"] | {"truth": "slide"}
    recipe = load_recipe(write_recipe(root / "baseline.yaml", changed))
    assert set(recipe.skipped.values()) == {"the baseline was made elsewhere and cannot be trained again"}


def test_a_plan_shows_what_such_an_arm_takes(first):
    _, _, store, _ = first
    plan = make_plan(with_arm(first, "planned", IMAGES), store)
    assert not UNTRAINED & plan.of_arm("gan").keys()
    assert [arm.steps for arm in forecast(plan, store).arms] == [6, 6, 0]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({}, "give source"),
        (IMAGES | {"pipeline": "pipeline"}, "give source"),
        ({"pipeline": "pipeline", "label": "label"}, "are about a source"),
        (IMAGES | {"resolution": 64}, "resolution is about a pipeline"),
        ({"source": {"kind": "imagefolder", "path": "nowhere"}}, "does not exist"),
    ],
)
def test_what_does_not_fit_together_is_told_before_anything_runs(first, samples, message):
    with pytest.raises(RecipeError, match=message):
        with_arm(first, "wrong", samples)


def test_samples_that_cannot_be_taken_are_told_with_how_many_and_which(first):
    root, settings, store, _ = first
    shutil.copytree(root / "gan", root / "bad")
    paths = sorted((root / "bad").rglob("*.png"))
    many = {"generation": settings["generation"] | {"allocation": {"kind": "per_label", "images": 50}}}
    other = {"source": {"kind": "imagefolder", "path": "bad"}}
    cases = [
        (other | {"prompt": "text", "label": None}, many, "samples of prompt '.*' are asked for, the source has"),
        (other | {"prompt": "caption"}, {}, "no column 'caption'"),
        (other | {"prompt": "sha256"}, {}, "10 of 10 samples have something in column 'sha256' that is no prompt"),
    ]
    for number, (samples, changes, message) in enumerate(cases):
        with pytest.raises(DataError, match=message):
            run(with_arm(first, f"bad-{number}", samples, **changes), store)
    paths[3].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 10 samples do not decode: images/"):
        run(with_arm(first, "broken", other | {"prompt": "prompt_id"}), store)
    (root / "bad" / "metadata.jsonl").unlink()
    Image.open(paths[4]).save(paths[3].with_suffix(".jpg"))
    paths[3].unlink()
    with pytest.raises(DataError, match="several formats: 1 jpeg, 9 png"):
        run(with_arm(first, "mixed", other), store)


def test_where_everything_was_made_elsewhere_no_model_is_needed(first):
    root, settings, store, used = first
    changed = settings | {"name": "all", "training": {"base": {"kind": "none", "resolution": 32}}}
    labels = {"source": IMAGES["source"], "label": "label"}
    plain = {"template": "Histology image of {label} tissue"}
    changed["arms"] = {"labels": {"prompts": plain, "samples": labels}, "gan": {"samples": IMAGES}}
    run_id = run(load_recipe(write_recipe(root / "all.yaml", changed)), store)
    made = used_by(store, run_id)
    here, there = (
        [row for row in numbers(store, arm) if row["subject"] == "samples"] for arm in (used["mep"], made["gan"])
    )
    assert here == there
    assert {row["subject"] for row in numbers(store, made["gan"])} & {"floor", "train"} == {"train"}
    assert "ontrolled" not in controlled(store, read_arms(store, [run_id])).sentence
    write_html(gather(store, [run_id]), root / "all.html")
    assert "made elsewhere" in (root / "all.html").read_text()
    with pytest.raises(UsageError, match="the images of gan were made elsewhere: there is no model to draw with"):
        arms_of(store, run_id, ["gan"], "training")
    (row, *_) = store.load(Samples, made["gan"]["generation"], None).rows
    links = why(store, store.folder(made["gan"]["generation"]) / row["file_name"])
    assert {"source": row["source"]} in [link.facts for link in links]


def test_an_arm_that_is_trained_needs_something_to_be_trained_from(first):
    with pytest.raises(RecipeError, match="'none' is nothing to train from"):
        with_arm(first, "nothing", IMAGES, training={"base": {"kind": "none"}, "steps": 1})


def test_the_recipe_of_the_gallery_runs_with_its_images(tmp_path):
    quick = ["training.steps=2", "training.watch.looks=1", "training.watch.prompts=1", "training.watch.steps=1"]
    quick += ["generation.allocation.images=4", "generation.sampler={kind: dpmsolver++, steps: 1}"]
    quick += ["generation.guidance=1", "metrics={extractors: [random_conv], scores: [kid], calibrate: false}"]
    quick += ["training.base.unet={channels: [8, 8], attention: [false, false], head_channels: 8}"]
    store = Store(tmp_path / "runs")
    run_id = run(load_recipe(REPOSITORY / "recipes/samples-elsewhere.yaml", [*quick, "utility.probe=none"]), store)
    rows = store.load(Samples, used_by(store, run_id)["gaussian"]["generation"], None).rows
    assert sorted(row["prompt_id"] for row in rows) == ["stained"] * 4 + ["unstained"] * 4
    assert {row["text"] for row in rows} == {f"Histology image of {label} tissue" for label in ("stained", "unstained")}
