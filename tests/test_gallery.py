"""The recipes that come with mep."""

import re

import pytest
from click.testing import CliRunner
from conftest import REPOSITORY

from mep.cli import main
from mep.recipe import load_recipe
from mep.recipe.gallery import gallery, question_of

RECIPES = sorted(REPOSITORY.glob("recipes/*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_opens_with_its_schema_its_question_its_command_and_its_cost(path):
    head = path.read_text().partition("\nmep: 2\n")[0]
    assert head.startswith("# yaml-language-server: $schema=../schemas/recipe.schema.json\n")
    assert question_of(path).endswith("?")
    assert f"mep run recipes/{path.name}" in head
    assert re.search(r"GB|unknown", head), "says what memory it takes, or that it is not known"
    assert load_recipe(path, paths_must_exist=False).name == path.stem


def test_the_gallery_is_listed_with_what_each_recipe_asks():
    shown = CliRunner().invoke(main, ["init", "--list"]).stdout
    assert all(name in shown for name in gallery())


def test_a_new_recipe_is_a_copy_that_validates_and_knows_its_schema(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["init", "mine.yaml"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mine.yaml").read_text().startswith("# yaml-language-server: $schema=recipe.schema.json\n")
    assert (tmp_path / "recipe.schema.json").read_text() == (REPOSITORY / "schemas/recipe.schema.json").read_text()
    assert CliRunner().invoke(main, ["validate", "mine.yaml"]).exit_code == 0


def test_a_new_recipe_overwrites_nothing(tmp_path):
    target = tmp_path / "mine.yaml"
    target.write_text("mine")
    done = CliRunner().invoke(main, ["init", str(target)])
    assert (done.exit_code, target.read_text()) == (2, "mine")
    assert "is there already" in done.stderr


def test_a_recipe_that_is_not_in_the_gallery_is_told_with_those_that_are(tmp_path):
    done = CliRunner().invoke(main, ["init", str(tmp_path / "a.yaml"), "--from", "quikstart"])
    assert (done.exit_code, "did you mean 'quickstart'?" in done.stderr) == (2, True)
