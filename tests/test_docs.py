"""The README and the pages under docs/ show what exists, and what they show runs."""

import re
import shlex

import click
import pytest
from small_data import REPOSITORY

from mep.cli.main import main
from mep.methods import families
from mep.registry import members
from mep.stages import stages
from mep.store.database import Database

README = (REPOSITORY / "README.md").read_text()
PAGES = {path: path.read_text() for path in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))]}
DOCS = "\n".join(PAGES.values())


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.S)


def shown_commands():
    lines = [
        line.removeprefix("$ ").split("  #")[0].strip() for block in blocks("console") for line in block.splitlines()
    ]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip().startswith("mep ")]


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_shown_is_one_that_mep_understands(line):
    arguments = shlex.split(line)[1:]
    with main.make_context("mep", list(arguments)) as context:
        name, command, rest = main.resolve_command(context, [*context._protected_args, *context.args])
        command.make_context(name, [part for part in rest if part not in ("-h", "--help")], parent=context)


def test_every_command_stage_and_method_is_mentioned():
    for command in main.list_commands(click.Context(main)):
        assert f"mep {command}" in README, command
    for stage in stages():
        assert f"`{stage}`" in README, stage
    for folder, family in families().items():
        assert f"`{folder}/`" in README, folder
        for kind in members(family):
            assert f"`{kind}`" in DOCS, (folder, kind)


def test_the_stage_table_names_inputs_and_outputs_as_the_code_has_them():
    for name, stage in stages().items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` "))
        for kind in [*stage.inputs.values(), stage.output]:
            assert kind.__name__ in row, (name, kind.__name__)


def test_every_exit_code_is_listed():
    from mep import errors

    codes = {
        getattr(errors, name).exit_code
        for name in vars(errors)
        if name.endswith(("Error", "Failed", "Lacks", "Locked"))
    }
    for code in codes | {0, 10, 130, 143}:
        assert re.search(rf"\| {code}\b|/ {code}\b", README), code


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_shown_runs(query, tmp_path):
    assert isinstance(Database(tmp_path / "mep.db").query(query), list)


def test_every_file_linked_exists():
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (page.parent / target).exists(), (page.name, target)
