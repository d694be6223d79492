"""docs/tutorial.md shows what its commands print: those that take seconds are carried out here again."""

import importlib.util
import sys

import pytest
from small_data import REPOSITORY

spec = importlib.util.spec_from_file_location("tutorial_script", REPOSITORY / "tools" / "run_tutorial.py")
script = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = script
spec.loader.exec_module(script)
PAGE = script.PAGE.read_text()


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Commands of the page that take seconds -> what the page shows, and what they print."""
    done = script.carry_out(PAGE, tmp_path_factory.mktemp("study"), quick=True)
    return {"; ".join(shown.commands) + f" at {shown.span[0]}": (shown.text, text) for shown, text in done}


def test_what_is_printed_stands_behind_its_command_from_the_first_time_on(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ mep init a.yaml\n```\nThen:\n```console\n$ mep validate a.yaml\n```\n```\nold\n```\n"
    )
    monkeypatch.setattr(script, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["run_tutorial.py"])
    script.main()
    first, second = (shown.text for _, _, shown in script.steps(page.read_text()))
    assert first.startswith("wrote a.yaml\nwrote /home/ada/study/")
    assert second == "a.yaml: ok, 2 arms: label-only, mep\n"


def test_quick_commands_of_the_tutorial_print_what_it_shows(printed):
    assert len(printed) > 4
    for commands, (shown, text) in printed.items():
        assert text == shown, commands


def test_the_tutorial_takes_a_folder_from_lint_to_a_verdict():
    shown = [shown for _, _, shown in script.steps(PAGE) if shown]
    used = [command.split()[1] for block in shown for command in block.commands]
    ways = ["init", "lint", "plan", "calibrate", "run", "report"]
    assert [first for first in dict.fromkeys(used) if first in ways] == ways
