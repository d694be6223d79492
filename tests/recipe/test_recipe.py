"""Recipes: layers, origins, scalars, the lock file and the schema."""

import json
import os
import random
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mutations import changed, damaged

from mep.errors import Mistake, Place, RecipeError
from mep.machine.settings import MachineConfig
from mep.recipe import Recipe, load_recipe, lock_text
from mep.recipe.annotations import inside, is_config, is_family
from mep.recipe.model import Experiment
from mep.recipe.reader import parse, scalar
from mep.recipe.recipe_file import RecipeFile
from mep.recipe.schema import recipe_schema, schema_text
from mep.recipe.text import RecipeText
from mep.registry import members
from mep.stages import made_elsewhere, stages

ROOT = Path(__file__).parents[2]
PLAIN = """\
name: chest
modality: histopathology
dataset: {source: sample, label: stain}
training:
  base: {kind: scratch}
  steps: 100
"""
ARMS = """\
arms:
  label-only: {prompts: {template: "{label} tissue"}}
  mep: {}
  dense: {clustering: {method: {kind: hdbscan, min_samples: 3}}, generation: {sampler: ddim}}
"""
NULLS = """\
name: nulls
description: "yes: 1e-4, 'quoted', é and\\ttabs"
dataset: {source: {kind: sample, tile_px: 32}, label: null, group: "123"}
balancing: {method: {kind: uniform_per_prompt, max_images_per_prompt: 9}}
training: {base: {kind: pretrained, path: models/sd}, steps: 1e3, snr_gamma: 5}
generation: {sampler: {kind: dpmsolver++, steps: 30}}
metrics: {eval_resolution: 64, scores: [prdc, {kind: kid}]}
arms:
  capped: {}
  ddim: {generation: {sampler: {kind: ddim, steps: 30}}}
  free: {balancing: {method: {max_images_per_prompt: null}}, training: {snr_gamma: null}}
machine: {device: "cuda:1", engine: {kind: local, workers: 1}}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes recipe.yaml into a folder of its own, which is where the test then is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models/sd").mkdir(parents=True)

    def write(text: str) -> Path:
        Path("recipe.yaml").write_text(text, encoding="utf-8")
        return Path("recipe.yaml")

    return write


def only_arm(recipe: Recipe) -> Any:
    return recipe.arms["main"]


def test_a_recipe_without_arms_has_one_that_is_called_main(write):
    recipe = load_recipe(write(PLAIN))
    assert list(recipe.arms) == ["main"]
    assert (recipe.name, recipe.modality, recipe.machine.device) == ("chest", "histopathology", "auto")
    assert recipe.text == PLAIN
    assert only_arm(recipe).training.steps == 100


def test_later_layers_win_and_every_value_knows_its_own(write):
    text = PLAIN + "clustering: {method: {k: 20}}\narms:\n  a: {}\n  b: {clustering: {method: {k: 30}}}\n"
    recipe = load_recipe(write(text), ["clustering.method.n_init=3"])
    a, b = recipe.arms["a"].clustering.method, recipe.arms["b"].clustering.method
    assert (a.k, b.k, a.n_init, b.n_init) == (20, 30, 3, 3)
    assert recipe.origins["a"]["clustering.method.kind"] == Place("modality histopathology")
    assert recipe.origins["a"]["clustering.method.k"] == Place("recipe.yaml", 7, 26)
    assert recipe.origins["b"]["clustering.method.k"] == Place("recipe.yaml", 10, 32)
    assert recipe.origins["b"]["clustering.method.n_init"] == Place("--set")


def test_a_field_left_to_its_default_is_placed_where_its_section_is(write):
    recipe = load_recipe(write(PLAIN + "metrics: {scores: [frechet, {kind: kid}]}\n"))
    assert "training.global_batch_size" not in recipe.origins["main"]
    assert recipe.place_of("main", "training.global_batch_size") == Place("recipe.yaml", 5, 3)
    assert recipe.place_of("main", "metrics.scores.1.kind") == Place("recipe.yaml", 7, 36)
    assert recipe.place_of("main", "machine.device") is None


def test_a_method_of_another_kind_replaces_the_one_below(write):
    # Both kinds are whole: k of the modality's k-means is no field of HDBSCAN, so merging would be a mistake.
    recipe = load_recipe(write(PLAIN + "clustering: {method: {kind: hdbscan, min_samples: 3}}\n"))
    method = only_arm(recipe).clustering.method
    assert (method.kind, method.min_cluster_size, method.min_samples) == ("hdbscan", 5, 3)


def test_a_method_of_the_same_kind_is_merged(write):
    recipe = load_recipe(write(PLAIN + "clustering: {method: {kind: kmeans, n_init: 2}}\n"))
    method = only_arm(recipe).clustering.method
    assert (method.kind, method.k, method.n_init) == ("kmeans", 33, 2)


def test_a_bare_word_is_short_for_a_method_in_every_layer(write):
    recipe = load_recipe(
        write(
            PLAIN
            + "clustering: {method: hdbscan}\narms: {same: {clustering: {method: {min_cluster_size: 9}}}, one: {}}\n"
        ),
        ["outliers.method=none", "arms.one.clustering.method=none"],
    )
    assert recipe.arms["same"].clustering.method.dump()["min_cluster_size"] == 9
    assert recipe.arms["one"].clustering.method.dump() == {"kind": "none"}
    assert recipe.arms["one"].outliers.method.dump() == {"kind": "none"}


def test_text_is_never_taken_for_a_method(write):
    # The template of the modality lies below a mapping here, and text below text in the arm.
    with pytest.raises(RecipeError, match=r"found a mapping, wanted text") as caught:
        load_recipe(write(PLAIN + "prompts: {template: {label}}\narms: {a: {prompts: {template: x}}, b: {}}\n"))
    assert [mistake.field for mistake in caught.value.mistakes] == ["prompts.template"]
    assert "(in arm b)" in str(caught.value)


def test_lists_replace(write):
    recipe = load_recipe(write(PLAIN + "metrics: {scores: [kid]}\narms: {a: {}, b: {metrics: {scores: [prdc]}}}\n"))
    assert [score.dump()["kind"] for score in recipe.arms["b"].metrics.scores] == ["prdc"]


def test_an_override_is_typed_like_the_recipe(write):
    overrides = ["training.learning_rate=1e-4", "training.schedule=linear", "metrics.scores=[kid]"]
    arm = only_arm(load_recipe(write(PLAIN), [*overrides, "prompts.template='{label}: x'"]))
    assert (arm.training.learning_rate, arm.training.schedule) == (1e-4, "linear")
    assert (len(arm.metrics.scores), arm.prompts.template) == (1, "{label}: x")


def test_an_override_may_name_an_arm_even_with_dots(write):
    text = PLAIN + "arms: {k.5: {}, k: {}}\n"
    recipe = load_recipe(write(text), ["arms.k.5.clustering.method.k=5", "arms.k.seed=7", "arms.new={seed: 8}"])
    assert recipe.arms["k.5"].clustering.method.dump()["k"] == 5
    assert {name: arm.seed for name, arm in recipe.arms.items()} == {"k.5": 0, "k": 7, "new": 8}


def test_an_override_may_choose_another_method_for_an_arm(write):
    text = PLAIN + "arms: {a: {clustering: {method: {kind: kmeans, k: 5}}}, b: {}}\n"
    recipe = load_recipe(write(text), ["arms.a.clustering.method.kind=hdbscan"])
    assert recipe.arms["a"].clustering.method.dump()["kind"] == "hdbscan"
    assert recipe.arms["b"].clustering.method.dump()["kind"] == "kmeans"


def test_an_override_may_choose_the_modality(write):
    recipe = load_recipe(write(PLAIN), ["modality=cxr"])
    assert only_arm(recipe).clustering.method.dump()["k"] == 10
    assert recipe.origins["main"]["training.symmetries"] == Place("modality cxr")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-4", 1e-4), ("5e5", 500_000.0), ("-.5", -0.5), ("1.", 1.0), ("-.inf", float("-inf"))],
        *[("0x1F", 31), ("0o17", 15), ("0123", 123), ("+7", 7), ("~", None), ("", None), ("True", True)],
        *[(text, text) for text in ("yes", "no", "on", "off", "y", "12:30", "2024-01-01", "1_000", "0b1", "=", "<<")],
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quoted_scalars_are_text(write):
    recipe = load_recipe(write(PLAIN.replace("label: stain", "label: '1e-4', group: \"null\"")))
    assert (only_arm(recipe).dataset.label, only_arm(recipe).dataset.group) == ("1e-4", "null")


def test_paths_start_at_the_recipe_wherever_the_user_stands(write, monkeypatch):
    text = PLAIN.replace("{kind: scratch}", "{kind: pretrained, path: models/sd}")
    folder = write(text).absolute().parent
    monkeypatch.chdir("/")
    assert only_arm(load_recipe(folder / "recipe.yaml")).training.base.path == folder / "models/sd"


def test_a_missing_path_is_allowed_where_the_caller_says_so(write):
    text = PLAIN.replace("{kind: scratch}", "{kind: pretrained, path: elsewhere}")
    assert only_arm(load_recipe(write(text), paths_must_exist=False)).training.base.path.name == "elsewhere"


def as_one(recipe: Recipe) -> tuple[Any, ...]:
    return list(recipe.arms.items()), recipe.machine, recipe.name, recipe.description, recipe.modality


@pytest.mark.parametrize("text", [PLAIN, PLAIN + ARMS, NULLS, PLAIN + "arms: {only: {seed: 3}}\n"])
def test_a_lock_loads_to_the_same_experiments_from_another_folder(write, text):
    recipe = load_recipe(write(text), ["training.warmup_steps=3"])
    folder = Path("runs/one").absolute()
    folder.mkdir(parents=True)
    (folder / "recipe.lock.yaml").write_text(lock_text(recipe, folder), encoding="utf-8")
    again = load_recipe(folder / "recipe.lock.yaml")
    assert as_one(again) == as_one(recipe)
    assert lock_text(again, folder) == lock_text(recipe, folder)


def test_a_lock_names_paths_from_where_it_lies(write):
    recipe = load_recipe(write(NULLS))
    assert "path: ../../models/sd\n" in lock_text(recipe, Path("runs/one").absolute())


def test_a_lock_writes_every_default_and_of_an_arm_only_its_differences(write):
    import yaml

    recipe = load_recipe(write(PLAIN + ARMS))
    lock = yaml.safe_load(lock_text(recipe, Path.cwd()))
    assert lock["training"]["max_grad_norm"] == 1.0
    assert lock["arms"]["label-only"] == {}
    assert list(lock["arms"]["mep"]) == ["prompts"]
    assert lock["arms"]["dense"]["clustering"]["method"]["kind"] == "hdbscan"


@example("a\x85b", "~")  # a line break that PyYAML folds to a space
@settings(deadline=None, max_examples=40)  # the machine may be busy
@given(
    st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["1e-4", "0o7", "null", "<<", "", "- a", "~"]),
)
def test_any_text_comes_back_from_a_lock(tmp_path_factory, description, label):
    folder = tmp_path_factory.mktemp("text")
    (folder / "a.yaml").write_text(PLAIN + f"description: {json.dumps(description)}\n")
    recipe = load_recipe(folder / "a.yaml", [f"dataset.label={json.dumps(label)}"])
    assert (recipe.description, only_arm(recipe).dataset.label) == (description, label)
    (folder / "b.yaml").write_text(lock_text(recipe, folder), encoding="utf-8")
    assert as_one(load_recipe(folder / "b.yaml")) == as_one(recipe)


def test_every_modality_loads_with_little_more_than_images_and_a_base(write):
    shipped = {path.stem for path in (ROOT / "mep/modalities").glob("*.yaml")}
    assert shipped == set(get_args(RecipeFile.model_fields["modality"].annotation))
    for name in shipped:
        assert load_recipe(write(PLAIN), [f"modality={name}"]).modality == name


def test_the_schema_in_the_repository_is_fresh():
    assert (ROOT / "schemas/recipe.schema.json").read_text(encoding="utf-8") == schema_text(), "run: mep schema"


def test_every_field_of_every_config_has_a_description():
    schema = recipe_schema()
    configs = {"the recipe": schema, **schema["$defs"]}
    bare = [
        f"{name}.{field}"
        for name, config in configs.items()
        for field, one in config["properties"].items()
        if not one.get("description") and not name.endswith("-partial") and name != "Arm"
    ]
    assert bare == []


def test_no_part_of_an_experiment_takes_any_key():
    # A lock could not take a key away again that the first arm has and another has not.
    schema = recipe_schema()
    assert all(config.get("additionalProperties") is False for config in schema["$defs"].values())


def test_the_schema_asks_only_for_what_no_modality_gives():
    schema = recipe_schema()
    assert sorted(schema["required"]) == ["dataset", "name", "training"]
    assert schema["$defs"]["TrainingConfig"]["required"] == ["base", "steps"]
    assert "required" not in schema["$defs"]["KMeans-partial"]
    assert schema["$defs"]["ImageFolder"]["required"] == ["kind", "path"]


@pytest.mark.parametrize("text", [PLAIN, PLAIN + ARMS, NULLS])
def test_the_schema_accepts_what_loads_and_what_it_locks_to(write, text):
    jsonschema = pytest.importorskip("jsonschema")

    validator = jsonschema.Draft202012Validator(recipe_schema())
    lock = lock_text(load_recipe(write(text)), Path.cwd())
    for written in (text, lock):
        assert [error.message for error in validator.iter_errors(parse(RecipeText("", written)).plain())] == []


def test_the_schema_flags_what_does_not_load(write):
    jsonschema = pytest.importorskip("jsonschema")

    validator = jsonschema.Draft202012Validator(recipe_schema())
    for good, bad in [("steps: 100", "stesp: 100"), ("kind: scratch", "kind: scrach"), ("name: chest\n", "")]:
        assert not validator.is_valid(parse(RecipeText("", PLAIN.replace(good, bad))).plain())
    assert not validator.is_valid(parse(RecipeText("", PLAIN + "arms: {a: {name: b}}")).plain())


def test_reading_a_recipe_loads_no_heavy_library(write):
    program = "import sys, mep.recipe as r; r.load_recipe('recipe.yaml'); print(*sorted(sys.modules))"
    write(PLAIN + ARMS)
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not {"torch", "diffusers", "transformers", "sklearn", "skimage", "scipy", "pandas"} & set(
        done.stdout.split()
    )


@pytest.mark.parametrize("kind", ["bytes", "tree"])
def test_a_damaged_recipe_is_a_recipe_or_a_list_of_mistakes(kind, write):
    draw = random.Random(18021999)
    tree = yaml.safe_load(PLAIN + ARMS)
    n_refused = 0
    for _ in range(300):
        if kind == "bytes":
            Path("recipe.yaml").write_bytes(damaged(PLAIN + ARMS, draw))
        else:
            Path("recipe.yaml").write_text(yaml.safe_dump(changed(tree, draw), sort_keys=False))
        mistakes = mistakes_in("recipe.yaml")
        assert all(part.isprintable() for mistake in mistakes for part in str(mistake).split("\n"))
        n_refused += bool(mistakes)
    assert n_refused > 150


def mistakes_in(path: str) -> list[Mistake]:
    try:
        load_recipe(path, paths_must_exist=False)
    except RecipeError as error:
        return error.mistakes
    return []


def test_every_field_changes_the_fingerprint_of_a_stage_or_stands_under_machine():
    # A new field has to be decided: read by a stage, it enters that stage's fingerprint; under `machine` it never does.
    for name, field in Experiment.model_fields.items():
        if name != "seed":
            every = [*stages().values(), *chain.from_iterable(made_elsewhere().values())]
            of_section = [stage for stage in every if stage.section == name]
            read = {
                one for stage in of_section for one in stage.config.model_fields if one not in stage.config.elsewhere
            }
            assert set(inside(field.annotation).model_fields) == read, name
    for config in every_config(Experiment):
        assert config is not MachineConfig
    assert set(MachineConfig.model_fields) == {
        "device",  # where: kernels may differ in the last bits, which `mep verify` and the report say
        "engine",  # where and on how many workers
        "batch_size",  # images at once; nothing is drawn per batch
        "generation_batch_size",  # every sample draws from a seed of its own
        "decode_batch_size",
        "micro_batch",  # images at once in training; the global batch is the recipe's
        "attention",  # which kernel computes it
        "gradient_checkpointing",  # recomputes instead of remembering
        "compile",  # the same graph, fused
        "deterministic",  # kernels whose last digits are the same each time
        "at_once",  # processes, each of which makes what this one would
        "stores",  # where the same is looked for that would be made here
        "slurm",  # jobs, each of which makes what this process would
        "accelerate",  # processes; the global batch is the recipe's
        "checkpoint_every_s",
        "trackers",  # where losses are shown
    }


def every_config(config):
    """A config and all that it can hold."""
    yield config
    for field in config.model_fields.values():
        kind = inside(field.annotation)
        for part in members(kind).values() if is_family(kind) else [kind] if is_config(kind) else []:
            yield from every_config(part)


def test_the_example_of_the_schema_is_a_recipe_that_fits_it(write):
    schema = recipe_schema()
    (example,) = schema["examples"]
    pytest.importorskip("jsonschema").Draft202012Validator(schema).validate(example)
    assert list(load_recipe(write(yaml.safe_dump(example, sort_keys=False))).arms) == ["label-only", "mep"]


PUBLISHED = """\
name: published
modality: histopathology
dataset: {source: sample, label: stain}
training: {base: {kind: pretrained, id: org/sd, revision: 0123456789abcdef0123456789abcdef01234567}, steps: 100}
arms:
  usual: {}
  exact: {training: {precision: fp32}, generation: {precision: fp32}}
  small: {training: {base: {kind: scratch}}}
"""


def test_a_published_base_is_trained_and_drawn_in_bf16_where_nothing_else_is_said(write):
    arms = load_recipe(write(PUBLISHED)).arms
    chosen = {name: (arm.training.precision, arm.generation.precision) for name, arm in arms.items()}
    assert chosen == {"usual": ("bf16", "bf16"), "exact": ("fp32", "fp32"), "small": ("fp32", "fp32")}
