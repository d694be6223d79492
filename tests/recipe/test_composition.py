"""A recipe from several files, variables, a matrix and repeats."""

import re

import pytest
from small_data import draw_imagefolder

from mep.errors import RecipeError
from mep.recipe import load_recipe, lock_text
from mep.recipe.writer import fields_of, resolved_text

BASE = """\
name: base
modality: histopathology
dataset: {source: sample, label: stain}
clustering: {method: {kind: kmeans, k: 8}}
training: {base: scratch, steps: 100}
metrics: {scores: [frechet, kid]}
arms:
  label-only: {prompts: {template: "{label} tissue"}}
  mep: {}
"""


@pytest.fixture
def write(tmp_path):
    def files(**texts):
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yaml").write_text(text)
        return tmp_path / f"{next(iter(texts)).replace('__', '/')}.yaml"

    return files


def test_a_recipe_is_merged_over_those_that_it_extends(write):
    top = write(
        top="name: top\nextends: [one.yaml, two.yaml]\ntraining: {steps: 300}\narms: {deep: {training: {steps: 9}}}",
        one=BASE,
        two="clustering: {method: {k: 20}}\ntraining: {steps: 200, global_batch_size: 4}\nmetrics: {scores: [prdc]}",
    )
    recipe = load_recipe(top)
    assert list(recipe.arms) == ["label-only", "mep", "deep"]
    mep = recipe.arms["mep"]
    assert (mep.clustering.method.k, mep.training.steps, mep.training.global_batch_size) == (20, 300, 4)
    assert [score.kind for score in mep.metrics.scores] == ["prdc"]  # lists replace
    assert str(recipe.origins["mep"]["clustering.method.k"]).endswith("two.yaml:1:26")
    assert recipe.arms["deep"].training.steps == 9


def test_a_mistake_in_an_extended_file_is_shown_where_it_stands(write):
    top = write(top="name: top\nextends: one.yaml", one=BASE.replace("k: 8", "k: 0"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(top)
    (mistake,) = caught.value.mistakes
    assert (mistake.place.file.endswith("one.yaml"), mistake.place.line) == (True, 4)
    assert mistake.source_line == "clustering: {method: {kind: kmeans, k: 0}}"


def test_files_that_extend_each_other_are_a_mistake(write):
    top = write(top="name: top\nextends: one.yaml", one="extends: two.yaml\n" + BASE, two="extends: one.yaml\n")
    with pytest.raises(RecipeError, match=r"'one.yaml' extends itself: top.yaml -> one.yaml -> two.yaml -> one.yaml"):
        load_recipe(top)


def test_a_link_out_of_the_folder_is_not_followed(write, tmp_path):
    top = write(recipes__top="name: top\nextends: link.yaml", one=BASE)
    (tmp_path / "recipes" / "link.yaml").symlink_to(tmp_path / "one.yaml")
    with pytest.raises(RecipeError, match="lies outside the recipe's folder"):
        load_recipe(top)


def test_many_files_that_fan_out_are_refused_before_they_are_read(write):
    fan = {f"f{n}": f"extends: [f{n + 1}.yaml, f{n + 1}.yaml]" for n in range(20)}
    with pytest.raises(RecipeError, match="one of more than 32 files"):
        load_recipe(write(top="name: top\nextends: f0.yaml", **fan, f20=BASE))


def test_a_path_starts_at_the_file_that_names_it(write, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    draw_imagefolder(tmp_path / "below" / "images", n=4)
    inner = BASE.replace("source: sample, label: stain", "source: {kind: imagefolder, path: images}, label: label")
    top = write(top="name: top\nextends: below/inner.yaml", below__inner=inner)
    monkeypatch.chdir(tmp_path)
    for named in (top, top.relative_to(tmp_path)):  # another process may work in another folder
        assert load_recipe(named).arms["mep"].dataset.source.path == tmp_path / "below" / "images"


def test_variables_are_filled_in_with_their_type(write):
    text = BASE.replace("k: 8", "k: '${vars.k}'").replace("{label} tissue", "${vars.organ} of ${vars.k}: {label}")
    path = write(top=text + "vars: {k: 8, organ: colon}\ndescription: '$5 {a} $ok'")
    recipe = load_recipe(path, ["vars.k=12"])
    assert recipe.arms["mep"].clustering.method.k == 12
    assert recipe.arms["label-only"].prompts.template == "colon of 12: {label}"
    assert recipe.description == "$5 {a} $ok"


def test_a_later_file_sets_the_variables_of_an_earlier_one(write):
    base = BASE.replace("k: 8", "k: '${vars.k}'") + "vars: {k: 8}"
    recipe = load_recipe(write(top="name: top\nextends: one.yaml\nvars: {k: 30}", one=base))
    assert recipe.arms["mep"].clustering.method.k == 30


MATRIX = """
matrix:
  axes:
    k: {field: clustering.method.k, values: [5, 10, 20]}
    lr: {field: training.learning_rate, values: [1e-4, 1e-3]}
  exclude: [{k: 20, lr: 1e-3}, {k: 5}]
  include: [{k: 33}]
"""


def test_a_matrix_makes_an_arm_of_every_combination(write):
    arms = load_recipe(write(top=BASE + MATRIX)).arms
    assert list(arms) == ["label-only", "mep", "k-10_lr-0.0001", "k-10_lr-0.001", "k-20_lr-0.0001", "k-33"]
    assert [arm.clustering.method.k for arm in arms.values()] == [8, 8, 10, 10, 20, 33]
    assert arms["k-10_lr-0.001"].training.learning_rate == 1e-3


def test_an_axis_of_variants_names_its_arms_by_them(write):
    axes = "k: {field: clustering.method, values: [hdbscan, {kind: kmeans, k: 3}]}, captions: {variants: {a: {}, b: "
    text = BASE.split("arms:")[0] + f"matrix: {{axes: {{{axes}{{seed: 5}}}}}}}}}}"
    arms = load_recipe(write(top=text)).arms
    assert list(arms) == ["k-hdbscan_a", "k-hdbscan_b", "k-kmeans_a", "k-kmeans_b"]
    assert [(arm.clustering.method.kind, arm.seed) for arm in arms.values()] == [
        ("hdbscan", 0),
        ("hdbscan", 5),
        ("kmeans", 0),
        ("kmeans", 5),
    ]


def test_seeds_repeat_every_arm_under_a_name_of_its_own(write):
    recipe = load_recipe(write(top=BASE + "seeds: 3"))
    assert list(recipe.arms) == ["label-only", "mep", "label-only#2", "mep#2", "label-only#3", "mep#3"]
    assert recipe.place_of("mep#3", "clustering.method.k") == recipe.place_of("mep", "clustering.method.k")


def test_a_lock_of_a_composed_recipe_stands_alone(write, tmp_path):
    top = write(top=f"name: top\nextends: one.yaml\nseeds: 2\nvars: {{k: 30}}\n{MATRIX}", one=BASE)
    recipe = load_recipe(top, ["training.steps=7"])
    (tmp_path / "away").mkdir()
    lock = tmp_path / "away" / "lock.yaml"
    lock.write_text(lock_text(recipe, lock.parent))
    assert load_recipe(lock).arms == recipe.arms


def test_a_resolved_recipe_says_where_every_value_is_from_and_loads_to_the_same(write, tmp_path):
    top = write(top=f"name: top\nextends: one.yaml\n{MATRIX}", one=BASE)
    recipe = load_recipe(top, ["training.steps=7"])
    text = resolved_text(recipe)
    assert re.search(r"^    k: 8 +# .*one.yaml:4:40$", text, re.M)
    fields = fields_of(recipe)
    where = [fields["mep"][name]["origin"] for name in ("training.steps", "generation.guidance", "training.ema_decay")]
    assert where == ["--set", "modality histopathology", "default"]
    (tmp_path / "resolved.yaml").write_text(text)
    assert load_recipe(tmp_path / "resolved.yaml").arms == recipe.arms
    assert fields["k-33"]["clustering.method.k"]["value"] == 33
