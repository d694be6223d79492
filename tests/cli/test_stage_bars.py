"""A run in a terminal: a line a stage with a bar, all arms of the stage together."""

import io
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from rich.console import Console

from mep.cli.screen import Screen
from mep.cli.stage_bars import Pace, StageBars, bar


def task(stage, *arms):
    name = f"{stage}/{'-'.join(arms)}"
    return SimpleNamespace(stage=SimpleNamespace(name=stage), arms=list(arms), artifact_id=name)


DATASET, FIRST, SECOND = task("dataset", "label-only", "mep"), task("training", "label-only"), task("training", "mep")
METRICS = task("metrics", "label-only", "mep")


@pytest.fixture
def screen(monkeypatch):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr("mep.cli.screen.err", lambda: console)
    screen = Screen()
    screen.planned(
        "20261126-drawn",
        SimpleNamespace(
            recipe=SimpleNamespace(arms={"label-only": None, "mep": None}),
            tasks=[DATASET, FIRST, SECOND, METRICS],
            count=lambda status: 4 if status == "run" else 0,
        ),
    )
    yield screen
    screen.close()


def seen(screen):
    still = Console(file=io.StringIO(), width=80)
    still.print(screen.bars.picture())
    return still.file.getvalue()


def test_arms_of_a_stage_share_its_line_and_its_bar(screen):
    screen.reused(DATASET)
    screen.started(FIRST)
    screen.finished(FIRST, 62.0, {"steps": 750, "images": 1200})
    progress = screen.started(SECOND)
    progress.update(375, 750, "loss 0.12")
    assert seen(screen) == (
        "= dataset     ████████████████  reused\n"
        "> training    ████████████░░░░  1/2 mep 375/750, loss 0.12\n"
        ". metrics     ░░░░░░░░░░░░░░░░\n"
    )
    screen.finished(SECOND, 63.0, {"steps": 750, "images": 1100})
    assert seen(screen).splitlines()[1] == (
        "+ training    ████████████████  2 min 05 s  750 steps, 1,200 / 1,100 images"
    )


def test_no_line_is_wider_than_the_terminal(screen):
    screen.started(FIRST)
    screen.finished(FIRST, 1.0, {f"a fact with a long name {number}": number for number in range(9)})
    screen.finished(SECOND, 1.0, {})
    screen.waiting(METRICS, "another process " * 9)
    lines = seen(screen).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[1].endswith("…")


@pytest.mark.parametrize(("share", "drawn"), [(0, "░░░░"), (0.5, "██░░"), (0.53, "██▏░"), (1, "████"), (1.5, "████")])
def test_a_bar_shows_a_share(share, drawn):
    assert bar(share, 4) == drawn


def test_the_rest_is_told_at_the_pace_so_far(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace()
    assert pace.left(10, 100) == ""
    now[0] = 60.0
    assert pace.left(30, 100) == "4 min left"  # 20 a minute, 70 to go
    assert pace.left(100, 100) == ""


def test_what_a_recipe_says_never_steers_the_terminal_of_a_run():
    bars = StageBars(Console(file=io.StringIO(), width=80))
    hostile = task("training", "\x1b[2J[red]")
    bars.plan(SimpleNamespace(tasks=[hostile]))
    bars.note(hostile, "1/2", 0.5)
    still = Console(file=io.StringIO(), width=80)
    still.print(bars.picture())
    bars.close()
    assert r"\x1b[2J[red]" in still.file.getvalue()
