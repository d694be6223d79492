"""Controls: what `controls:` adds to a recipe, what is shared with the baseline, and what cannot be run."""

import json

import pytest
from small_data import draw_imagefolder, tiny_settings, write_recipe

from mep.errors import RecipeError
from mep.recipe import load_recipe, lock_text
from mep.recipe.controls import CONTROL_ARMS, NEGATIVE, POSITIVE, SHUFFLED, is_control
from mep.recipe.model import MOST_SEEDS, training_of
from mep.runner.plan import make_plan
from mep.store import Store

LABEL = "Histology image of {label} tissue"


@pytest.fixture
def load(tmp_path):
    settings = tiny_settings(draw_imagefolder(tmp_path / "images"))

    def loaded(*overrides, **changes):
        text = settings | {"controls": ["negative", "shuffled", "positive"]} | changes
        text["dataset"] = settings["dataset"] | {"truth": "slide"} | changes.get("dataset", {})
        return load_recipe(write_recipe(tmp_path / "tiny.yaml", text), overrides)

    return loaded


def test_each_control_is_an_arm_of_a_known_kind(load):
    recipe = load()
    assert list(recipe.arms) == ["label-only", "mep", *CONTROL_ARMS]
    assert recipe.arms[NEGATIVE] == recipe.arms["label-only"]
    assert recipe.arms[SHUFFLED].prompts.template == recipe.arms["mep"].prompts.template
    assert (recipe.arms["mep"].prompts.permute, recipe.arms[SHUFFLED].prompts.permute) == ("none", "cluster")
    assert recipe.arms[POSITIVE].prompts.template == LABEL + ", slide {truth:words}"
    assert recipe.skipped == {}


def test_what_comes_before_the_captions_is_shared_and_no_training_is(load, tmp_path):
    plan = make_plan(load("seeds=3"), Store(tmp_path / "runs"))
    tasks = {arm: plan.of_arm(arm) for arm in plan.recipe.arms}
    for stage in ("dataset", "embedding", "clustering", "balancing", "base", "latents"):
        assert len({tasks[arm][stage].fingerprint for arm in tasks}) == 1, stage
    assert tasks[NEGATIVE]["prompts"] is tasks["label-only"]["prompts"]
    assert len({tasks[arm]["prompts"].fingerprint for arm in ("label-only", "mep", SHUFFLED, POSITIVE)}) == 4
    trainings = [tasks[arm]["training"] for arm in tasks]
    assert len({task.fingerprint for task in trainings}) == 15
    seeds = {arm: tasks[arm]["training"].seed for arm in tasks}
    assert not {seeds[arm] for arm in seeds if arm.startswith(NEGATIVE)} & {
        seeds[arm] for arm in seeds if not arm.startswith(NEGATIVE)
    }
    assert seeds["label-only#2"] == seeds[f"{POSITIVE}#2"]  # the other controls stay paired by seed


def test_the_negative_control_keeps_its_trainings_when_seeds_are_added(load, tmp_path):
    few, many = (make_plan(load(f"seeds={n}"), Store(tmp_path / "runs")) for n in (1, 4))
    assert few.of_arm(NEGATIVE)["training"].fingerprint == many.of_arm(NEGATIVE)["training"].fingerprint
    assert training_of(f"{NEGATIVE}#1") > MOST_SEEDS
    assert training_of("mep#4") == 4


def test_a_lock_loads_to_the_same_arms(load, tmp_path):
    recipe = load("seeds=2")
    path = tmp_path / "recipe.lock.yaml"
    path.write_text(lock_text(recipe, tmp_path))
    assert load_recipe(path).arms == recipe.arms
    assert load_recipe(path).controls == ("negative", "shuffled", "positive")


@pytest.mark.parametrize(
    ("overrides", "control", "why"),
    [
        (["dataset.truth=null"], "positive", "the recipe names no dataset.truth"),
        (
            ["prompts.template='{label} tissue'"],
            "shuffled",
            "no arm after the baseline names {cluster} in its captions",
        ),
        (["clustering.method=none"], "shuffled", "all images are one cluster"),
        (
            ["generation.allocation={kind: table, images: {cancer: 3}}"],
            "positive",
            "generation.allocation is a table of the baseline's prompts",
        ),
    ],
)
def test_a_control_that_the_recipe_cannot_carry_is_told_and_left_out(load, overrides, control, why):
    recipe = load(*overrides, **({"arms": {"one": {}, "two": {}}} if "template" in overrides[0] else {}))
    assert recipe.skipped == {control: why}
    assert f"control-{control}" not in recipe.arms


def test_no_other_arm_may_have_the_name_of_a_control(load):
    with pytest.raises(RecipeError) as caught:
        load(arms={"label-only": {}, "control-positive": {}})
    assert "'control-positive' cannot name an arm" in str(caught.value)
    assert "which `controls: [positive]` adds" in str(caught.value)


def test_a_misspelt_control_is_a_mistake(load):
    with pytest.raises(RecipeError, match="found 'negatve', wanted negative, shuffled or positive"):
        load(controls=["negatve"])


def test_controls_stand_beside_arms_of_a_matrix_and_their_repeats(load):
    recipe = load("seeds=2", matrix={"axes": {"k": {"field": "clustering.method.k", "values": [2, 3]}}})
    assert [arm for arm in recipe.arms if is_control(arm)] == [*CONTROL_ARMS, *(f"{arm}#2" for arm in CONTROL_ARMS)]
    assert recipe.arms[SHUFFLED].clustering.method.k == 2
    assert is_control("20261122-0900-a/control-negative#2")
    assert not is_control("mep")


def test_every_variant_of_the_caption_names_the_truth(load):
    recipe = load('prompts.variants=["{label}"]', arms={"label-only": {"prompts": {"template": LABEL}}})
    assert recipe.arms[POSITIVE].prompts.variants == ("{label}, slide {truth:words}",)


def test_the_template_names_a_truth_only_where_there_is_one(load):
    with pytest.raises(RecipeError, match=r"the template names \{truth\}, but dataset.truth is not set"):
        load("dataset.truth=null", "prompts.template='{truth:words}'", controls=[])


def test_captions_that_the_user_permutes_are_not_shuffled_again(load):
    recipe = load(arms={"label-only": {"prompts": {"template": LABEL}}, "lot": {"prompts": {"permute": "cluster"}}})
    assert "shuffled" in recipe.skipped
    assert json.dumps(recipe.skipped)
