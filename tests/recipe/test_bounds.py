"""Numbers that no machine can mean are refused when they are read, wherever one may stand."""

import click
import pytest
from click.testing import CliRunner
from small_data import REPOSITORY

from mep.cli.main import command_named, main
from mep.errors import RecipeError
from mep.recipe import load_recipe
from mep.recipe.schema import recipe_schema

QUICKSTART = REPOSITORY / "recipes" / "quickstart.yaml"
BOUNDED = {"maximum", "exclusiveMaximum", "enum", "const"}


def without_bound(schema, path=""):
    """Places of the schema where an integer has no upper bound."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer" and not BOUNDED & schema.keys():
            yield path
        for key, part in schema.items():
            yield from without_bound(part, f"{path}/{key}")
    elif isinstance(schema, list):
        for place, part in enumerate(schema):
            yield from without_bound(part, f"{path}/{place}")


def test_every_integer_of_a_recipe_has_an_upper_bound():
    assert list(without_bound(recipe_schema())) == []


def test_every_integer_of_the_command_line_has_an_upper_bound():
    integers = [
        (command.name, one.name, one.type)
        for command in map(command_named, main.list_commands(None))
        for one in command.params
        if isinstance(one.type, click.types.IntParamType)
    ]
    assert [name for *name, kind in integers if getattr(kind, "max", None) is None] == []
    assert len(integers) > 10


@pytest.mark.parametrize("field", ["training.steps", "clustering.method.k", "generation.allocation.images"])
def test_a_number_that_no_machine_can_mean_is_told_with_the_bound(field):
    with pytest.raises(RecipeError, match=rf"{field}: found 99999999999999999999999, wanted an integer .* and <= 10+"):
        load_recipe(QUICKSTART, [f"{field}=99999999999999999999999"])


def test_a_bound_that_is_far_away_is_not_named_to_who_is_near_the_other_one():
    with pytest.raises(RecipeError, match=r"found 0, wanted an integer >= 1$"):
        load_recipe(QUICKSTART, ["training.steps=0"])


def test_an_age_before_the_calendar_began_is_refused(tmp_path):
    done = CliRunner().invoke(main, ["gc", "--older-than", "1e300", "--runs", str(tmp_path)])
    assert (done.exit_code, "is not in the range" in done.stderr) == (2, True)
