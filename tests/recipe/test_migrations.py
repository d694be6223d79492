"""Recipes of older formats load as they did, and `mep migrate` brings them to the present one."""

from mep.recipe import load_recipe
from mep.recipe.migrations import rewrite

OLD = """\
mep: 1   # the first format
name: chest
modality: histopathology
dataset: {source: sample, label: stain}
training: {base: scratch, steps: 100, batch_size: 4}
generation:
  "images": {kind: per_label, images: 128}  # images: as many per label
arms:
  label-only: {generation: {images: {images: 64}}}
  mep: {}
"""


def test_an_old_recipe_loads_with_its_keys_under_their_new_names(tmp_path):
    (tmp_path / "old.yaml").write_text(OLD)
    recipe = load_recipe(tmp_path / "old.yaml")
    assert [arm.generation.allocation.images for arm in recipe.arms.values()] == [64, 128]
    assert recipe.arms["mep"].training.global_batch_size == 4


def test_a_rewritten_recipe_keeps_its_comments_and_loads_to_the_same_experiments(tmp_path):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(OLD)
    text, renamings = rewrite(old)
    assert text == (
        OLD.replace("mep: 1 ", "mep: 2 ")
        .replace("batch_size", "global_batch_size")
        .replace('"images": {kind', '"allocation": {kind')
        .replace("{generation: {images: {", "{generation: {allocation: {")
    )
    assert [(one.old, one.new) for one in renamings] == [
        *[("images", "allocation")] * 2,
        ("batch_size", "global_batch_size"),
        ("1", "2"),
    ]
    new.write_text(text)
    assert load_recipe(new).arms == load_recipe(old).arms
    assert rewrite(new) == (text, [])
