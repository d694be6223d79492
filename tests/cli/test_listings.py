"""`mep ls`, `mep status` and `mep show` as a person reads them in 80 columns."""

import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from drawn_run import RUN, Drawn, finished
from rich.cells import cell_len
from rich.console import Console

from mep.cli.main import main
from mep.cli.people import facts_text, few, folded, moment, table_lines, took

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def run_folder(tmp_path):
    """A finished run that began at nine and took ten minutes."""
    drawn = Drawn(tmp_path)
    finished(drawn)
    with drawn.store.db.write() as db:
        times = {"started_at": "2026-11-22T09:00:00.123Z", "ended_at": "2026-11-22T09:10:07.456Z"}
        db.table("runs").update(RUN, times)
    return drawn.store.root


@pytest.fixture
def call(run_folder, monkeypatch):
    """The lines of a command in a terminal of some width."""

    def run(*arguments, width=80):
        screen = io.StringIO()
        console = Console(file=screen, width=width, force_terminal=True, color_system=None, highlight=False)
        monkeypatch.setattr("mep.cli.listings.out", lambda: console)
        monkeypatch.setattr("mep.cli.listings.show", lambda text: print(text, file=screen))
        done = CliRunner().invoke(main, ["--runs", str(run_folder), *arguments])
        assert done.exit_code == 0, done.output
        return screen.getvalue().splitlines()

    return run


def test_ls_is_a_line_a_run(call):
    assert call("ls") == [
        "run                  state  started (UTC)     took         arms",
        "20261122-0900-drawn  done   2026-11-22 09:00  10 min 07 s  label-only, mep",
    ]


def test_status_is_a_line_a_stage_and_arm(call):
    lines = call("status")
    assert lines[0] == "20261122-0900-drawn  done in 10 min 07 s"
    assert "dataset     all         done   1.5 s  8 train, 4 held out, 2 labels" in lines
    place = next(number for number, line in enumerate(lines) if line.startswith("training "))
    assert lines[place].startswith("training    label-only  done   1.5 s  60 steps, 7 images")
    assert lines[place + 1].startswith("            mep         done   1.5 s  60 steps, 7 images")


def test_show_fits_two_screens_and_says_how_to_see_the_rest(call):
    lines = call("show")
    assert len(lines) <= 48
    assert lines[-1] == "mep show 20261122-0900-drawn --all"
    assert "mep         prompts.template  Image of {label} tissue, type {cluster:words}" in lines
    everything = call("show", "--all", width=300)
    assert "parameters" in everything
    assert any(line.startswith("training.steps") for line in everything)


@pytest.mark.parametrize("command", ["ls", "status", "show"])
@pytest.mark.parametrize("width", [80, 120, 200])
def test_nothing_reads_like_python_and_no_id_is_broken(call, command, width):
    lines = call(command, width=width)
    text = "\n".join(lines)
    assert max(map(cell_len, lines)) <= width
    assert not re.search(r"\['|\{'|\": |None|True|False|\dT\d\d:", text)
    assert not re.search(r"\d\d:\d\d\.\d", text)  # milliseconds
    for line in lines:
        assert not re.search(r"\b[0-9a-f]{5,31}$", line), line  # a fingerprint has 32 characters


def test_facts_of_several_arms_stand_side_by_side():
    told = [{"prompts": 2, "images": 1200}, {"prompts": 8, "images": 1200}]
    assert facts_text(told) == "2 / 8 prompts, 1,200 images"
    assert facts_text([{"kind": "scratch"}]) == "kind scratch"


def test_moments_and_durations_have_no_milliseconds():
    assert moment("2026-11-22T09:00:00.123Z") == "2026-11-22 09:00"
    assert took("2026-11-22T09:00:00.123Z", "2026-11-22T09:00:04.323Z") == "4.2 s"
    assert took("2026-11-22T09:00:00.123Z", None) == ""


def test_only_the_last_column_is_broken_and_only_between_words():
    lines = list(table_lines(["id", "text"], [["a" * 30, "one two three four five"]], 46))
    assert lines == ["id" + " " * 30 + "text", "a" * 30 + "  one two three", " " * 32 + "four five"]


def test_trainings_of_an_arm_are_one_name():
    arms = ["label-only", "mep", "label-only#2", "mep#2", "mep#3", "control-negative#2"]
    assert folded(arms) == ["label-only × 2", "mep × 3", "control-negative#2"]
    assert few(folded(arms)) == "label-only × 2, mep × 3, control-negative#2"
    assert few(list("abcde")) == "a ... e (5)"


def test_a_plan_has_a_line_for_all_trainings_of_an_arm(tmp_path):
    recipe = tmp_path / "repeated.yaml"
    recipe.write_text(f"{(REPOSITORY / 'recipes/starter.yaml').read_text()}\nseeds: 3\n")
    planned = CliRunner().invoke(main, ["--runs", str(tmp_path / "runs"), "plan", str(recipe)])
    assert planned.exit_code == 0, planned.output
    trainings = [line.split() for line in planned.stdout.splitlines() if line.startswith("training ")]
    assert [line[1:4] for line in trainings] == [["label-only", "×", "3"], ["mep", "×", "3"]]
    assert "#2" not in planned.stdout
