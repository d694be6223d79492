"""The README and the pages under docs/ show what exists, and what they show runs."""

import ast
import re
import shlex
import sys
import types

import click
import numpy as np
import pytest
import yaml
from small_data import REPOSITORY

import mep
from mep.artifacts.score_row import COLUMNS
from mep.cli.main import main
from mep.methods import families
from mep.methods.balancers import Groups
from mep.registry import members
from mep.stages import stages
from mep.store.database import Database

PAGES = {path: path.read_text() for path in [*REPOSITORY.glob("*.md"), *sorted(REPOSITORY.glob("docs/*.md"))]}
DOCS = "\n".join(PAGES.values())
STAGES, COMMANDS, METHODS = (PAGES[REPOSITORY / f"docs/{name}.md"] for name in ("stages", "commands", "methods"))
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text()
CHECK, CI = ((REPOSITORY / name).read_text() for name in ("scripts/check", ".ci/run"))


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
        assert f"mep {command}" in COMMANDS, command
    for stage in stages():
        assert f"`{stage}`" in STAGES, stage
    for folder, family in families().items():
        assert f"`{folder}/`" in METHODS, folder
        for kind in members(family):
            assert f"`{kind}`" in DOCS, (folder, kind)


def test_the_table_of_methods_names_verbs_that_the_families_have():
    for folder, family in families().items():
        row = next(line for line in METHODS.splitlines() if line.startswith(f"| `{folder}/`"))
        verbs = re.findall(r"`(\w+)`", row.split("|")[-2])
        assert verbs, folder
        for verb in verbs:
            assert callable(getattr(family, verb)), (folder, verb)


def test_the_stage_table_names_inputs_and_outputs_as_the_code_has_them():
    for name, stage in stages().items():
        row = next(line for line in STAGES.splitlines() if line.startswith(f"| `{name}` "))
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
        assert re.search(rf"\| {code}\b|/ {code}\b", COMMANDS), code


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_shown_runs(query, tmp_path):
    assert isinstance(Database(tmp_path / "mep.db").query(query), list)


def test_every_column_of_a_score_is_named():
    page = PAGES[REPOSITORY / "docs/metrics.md"]
    section = page.partition("## What a number depends on")[2].partition("\n## ")[0]
    assert set(COLUMNS) - set(re.findall(r"\w+", section)) == set()


def test_how_to_read_the_numbers_has_a_question_for_every_section_of_the_page():
    from mep.report.page.html import SECTIONS

    table = PAGES[REPOSITORY / "docs/reading-numbers.md"].partition("## Which section")[2].partition("\n## ")[0]
    named = [name for row in table.splitlines() if row.startswith("| ") for name in row.split("|")[1].split(",")]
    assert [title for title, _ in SECTIONS.values() if title not in map(str.strip, named)] == []


def pages_of_the_site(entries):
    """The pages that an entry of the navigation, or a list of entries, leads to."""
    if isinstance(entries, str):
        return [entries]
    items = entries.values() if isinstance(entries, dict) else entries
    return [page for item in items for page in pages_of_the_site(item)]


NAVIGATION = pages_of_the_site(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"])


def test_every_file_linked_exists():
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            made_with_the_site = page.parent.name == "docs" and target in NAVIGATION
            assert made_with_the_site or (page.parent / target).exists(), (page.name, target)


def test_every_page_is_in_the_navigation_of_the_site_once():
    pages = [path.relative_to(REPOSITORY / "docs").as_posix() for path in REPOSITORY.glob("docs/**/*.md")]
    assert set(pages) <= set(NAVIGATION)
    assert len(NAVIGATION) == len(set(NAVIGATION))


def test_contributing_names_only_files_that_exist():
    code = re.sub(r"```.*?```", "", CONTRIBUTING, flags=re.S)
    quoted = re.findall(r"`([\w.-]*/[\w./-]*|[\w-]+\.(?:py|md|toml|yml|json))`", code)
    links = re.findall(r"\]\((?!http|#)([^)#]+)", code)
    assert len(quoted) > 20
    for name in [*quoted, *links]:
        assert (REPOSITORY / name).exists(), name


def test_every_stop_of_the_tour_is_defined_in_the_file_that_it_names():
    stops = re.findall(r"`(mep/[\w/]+\.py)`(?: \| |, )`([\w.]+)`", CONTRIBUTING)
    assert len(stops) == 20
    for file, name in stops:
        tree = ast.parse((REPOSITORY / file).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert set(name.split(".")) <= defined, (file, name)


def test_the_method_that_contributing_shows_works(monkeypatch):
    source = next(block for block in re.findall(r"```python\n(.*?)```", CONTRIBUTING, re.S) if "class Share" in block)
    module = types.ModuleType("share")
    monkeypatch.setitem(sys.modules, "share", module)
    exec(source, vars(module))
    groups = Groups(np.zeros(6, int), np.array([0, 0, 0, 0, 1, -1]), outer_names=[""], inner_names=["a", "b"])
    choice = module.Share(kind="share", share=0.5).pick(groups, seed=0)
    assert sorted(groups.inner[choice.rows]) == [0, 0, 1]


def test_the_citation_names_the_version_of_the_package():
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == mep.__version__


def test_ci_runs_the_steps_of_the_check_and_none_of_its_own():
    defined = re.findall(r"^(\w+)\(\) \{", CHECK, re.M)
    lists = re.findall(r"^(?:READ|FAST|SLOW|ASKED)=\((.*)\)$", CHECK, re.M)
    listed = [step for names in lists for step in names.replace('"${READ[@]}"', "").split()]
    assert sorted(set(defined) - {"finish"}) == sorted(listed)
    commands = [line for line in CI.splitlines() if line and not line.lstrip().startswith("#")]
    assert commands[-1] == 'scripts/check "$@"'
    assert not re.search(r"\b(pytest|ruff|mypy|mkdocs|mep)\b", "\n".join(commands))
