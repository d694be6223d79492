"""The table in a terminal of 80 columns, as it is seen."""

import io
import re

import numpy as np
import pytest
from drawn_run import N_HALVES, RUN, Drawn, base_halves, finished, scores
from rich.cells import cell_len
from rich.console import Console
from shown_report import comparison, in_terminal

from mep.report import as_latex, as_markdown, as_rich, as_screen
from mep.report import comparison as compare
from mep.report.tables.comparison import Delta
from mep.report.tables.interval_mark import interval_mark
from mep.report.tables.sheet import Contrast, sheet
from mep.report.tables.terminal_sheet import folded_label

SIDE_BY_SIDE = """\
prompts.template: label-only … {label} tissue; mep … {label} tissue, type 
{cluster:words}
                                differ-
metric       label-only    mep     ence     95 % interval       p  worse  better
Quality: do they look like real images that the model has never seen?
kid ×10³ ↓         44.0   31.2    −12.8    [−14.8, −10.8]  <0.001        │   ─●─
fd ↓               44.0   31.2    −12.8    [−14.8, −10.8]  <0.001        │   ─●─
precision ↑       0.440  0.312   −0.128  [−0.148, −0.108]  <0.001  ─●─   │
▲ real training images: kid ×10³ 11.5, fd 11.5, precision 0.115
▲ autoencoder floor: kid ×10³ 20.2, fd 20.2, precision 0.203
What the numbers rest on: --notes
"""
STACKED = """\
prompts.template: label-only Image of {label} tissue; mep Image of {label} 
tissue, type {cluster:…; richer richer {label}
                                differ-
metric       arm                   ence     95 % interval       p  worse  better
Quality: do they look like real images that the model has never seen?
kid ×10³ ↓   label-only   44.0
             mep          42.0     −2.0    [−15.6, +11.6]    0.93      ──●──▲▲
             richer       40.0     −4.0      [−6.3, −1.7]  <0.001        │──●──▸
fd ↓         label-only   44.0
             mep          42.0     −2.0     [−13.9, +9.9]    0.74       ─●──▲▲
             richer       40.0     −4.0      [−6.0, −2.0]  <0.001        │ ─●──▸
precision ↑  label-only  0.440
             mep         0.420   −0.020  [−0.139, +0.099]    0.74    ▲▲──●─
             richer      0.400   −0.040  [−0.060, −0.020]  <0.001  ◂──●─ │
▲ real training images: kid ×10³ 11.5, fd 11.5, precision 0.115
▲ autoencoder floor: kid ×10³ 20.2, fd 20.2, precision 0.203
What the numbers rest on: --notes
"""
SCREEN = """\
mep is better than label-only by the kernel distance to held-out images: 31.2 
against 44.0 (×10³) (difference −12.8, 95 % interval −14.8 to −10.8). The 
smallest difference that this run could have seen is 2.8 (6 %); with one 
training an arm it speaks of these images, not yet of the methods.

                              differ-
metric      label-only   mep     ence   95 % interval       p  worse  better
Quality: do they look like real images that the model has never seen?
kid ×10³ ↓        44.0  31.2    −12.8  [−14.8, −10.8]  <0.001        │    ●›
fd ↓              44.0  31.2    −12.8  [−14.8, −10.8]  <0.001        │    ●›
"""


def shown(picture, width=80, colour=False):
    screen = io.StringIO()
    settings = {"force_terminal": True, "color_system": "standard"} if colour else {}
    Console(file=screen, width=width, **settings).print(picture)
    return screen.getvalue()


def many(tmp_path, arms):
    """A run of arms whose Fréchet distances fall by two from one to the next."""
    drawn = Drawn(tmp_path, arms=arms)
    drawn.shared_stages(arms)
    for number, arm in enumerate(arms):
        turns = np.where(np.arange(N_HALVES) % 2, 1.0, -1.0)
        shaken = base_halves() - 2 * number + turns * (6 if number == 1 else 1 if number else 0)
        drawn.publish(scores(44.0 - 2 * number, shaken), [arm])
    drawn.end()
    return compare(drawn.store, [RUN])


def test_two_arms_stand_side_by_side_with_the_difference_and_its_picture(report):
    table = in_terminal(comparison(report)).split("\n\n", 1)[1]
    assert table == SIDE_BY_SIDE


def test_three_arms_are_a_line_each_below_their_metric(tmp_path):
    table = in_terminal(many(tmp_path, ["label-only", "mep", "richer"])).split("\n\n", 1)[1]
    assert table == STACKED


def test_the_end_of_a_run_is_one_screen(drawn):
    text = shown(as_screen(comparison(finished(drawn))))
    assert text == SCREEN
    assert len(text.splitlines()) <= 20
    assert max(map(cell_len, text.splitlines())) <= 80


def test_a_wide_screen_has_columns_for_what_real_images_reach(drawn):
    text = shown(as_screen(comparison(finished(drawn)), width=140), width=140)
    assert "autoencoder" in text
    assert re.search(r"^fd ↓ .* 11\.5 +20\.2", text, re.MULTILINE)


@pytest.mark.parametrize("n_arms", [3, 6])
def test_a_screen_of_many_arms_leaves_metrics_out_rather_than_to_scroll(tmp_path, n_arms):
    found = many(tmp_path, ["label-only", *(f"arm{number}" for number in range(1, n_arms))])
    text = shown(as_screen(found))
    assert len(text.splitlines()) <= 20
    assert "kid" in text


def test_more_arms_than_six_are_rows(tmp_path):
    found = many(tmp_path, [f"arm{number}" for number in range(7)])
    table = in_terminal(found).split("\n\n", 1)[1]
    assert [line.split()[0] for line in table.splitlines() if line.startswith("arm")][:8] == ["arm", *found.arms]
    assert "−" not in table.replace("×10⁻³", "")  # differences are a --no-transpose away
    assert "± " in table


def test_only_what_differs_clearly_is_coloured(tmp_path):
    found = many(tmp_path, ["label-only", "mep", "richer"])
    lines = shown(as_rich(found), colour=True).split("\n\n", 1)[1].splitlines()
    undecided = next(line for line in lines if line.lstrip().startswith("mep "))
    clear = next(line for line in lines if line.lstrip().startswith("richer "))
    assert "\x1b[32m" in clear
    assert not re.search(r"\x1b\[3[12]m", undecided)


@pytest.mark.parametrize(
    ("low", "high", "right", "drawn"),
    [
        (-1.0, 2.0, 1, "   ──┼●──  "),  # 0.5 of three standard errors on five characters
        (-1.0, 2.0, -1, "  ──●┼──   "),  # lower is better: the picture is turned round
        (0.5, 2.5, 1, "     │─●── "),
        (8.0, 12.0, 1, "     │   ●›"),
        (-9.0, -2.0, 1, "‹●─  │     "),
    ],
)
def test_a_mark_is_the_interval_on_an_axis_with_the_baseline_in_the_middle(low, high, right, drawn):
    contrast = Contrast("mep", "", "", "", "open", Delta((low + high) / 2, 1.0, low, high, 0.5), right=right)
    assert interval_mark(contrast, 3.0, 11) == drawn


@pytest.mark.parametrize(
    ("references", "drawn"),
    [
        ((-2.4, 1.8), " ▲ ──●──▲  "),  # of three standard errors on five characters: four and three from the middle
        ((-9.0, 9.0), "◂  ──●──  ▸"),  # beyond
        ((0.5, 0.0), "   ──●──   "),  # the interval is drawn over them
    ],
)
def test_what_real_images_reach_is_marked_on_the_same_axis(references, drawn):
    contrast = Contrast("mep", "", "", "", "open", Delta(0.0, 1.0, -1.2, 1.2, 0.5))
    assert interval_mark(contrast, 3.0, 11, references) == drawn


@pytest.mark.parametrize("width", [80, 78, 76, 74])
def test_p_is_kept_longer_than_the_picture(report, width):
    head = in_terminal(comparison(report), width=width).split("\n\n", 1)[1].splitlines()[3]
    assert head.split()[-2:] in (["worse", "better"], ["better", "→"]) or head.split()[-1] == "p"
    assert " p" in head


def test_arms_of_two_runs_have_a_line_each_in_which_their_whole_names_stand(drawn):
    finished(drawn)
    again = drawn.copied_run("20261122-1000-other", {"training.steps": 20})
    table = in_terminal(compare(drawn.store, [RUN, again], baseline=f"{RUN}/mep"))
    for label in ("label-only", "mep"):
        assert f"{RUN}/{label} " in table
        assert f"{again}/{label} " in table
    assert max(map(cell_len, table.splitlines())) <= 80


def test_a_label_is_folded_behind_hyphens():
    assert folded_label("label-only", 11) == ["label-only"]
    assert folded_label("label-only", 8) == ["label-", "only"]
    assert folded_label("real training images", 10) == ["real", "training", "images"]
    assert folded_label("x" * 12, 8) == ["x" * 8, "x" * 4]


def test_notes_are_there_on_demand(report):
    found = comparison(report)
    assert in_terminal(found).splitlines()[-1] == "What the numbers rest on: --notes"
    told = in_terminal(found, notes=True)
    assert "--notes" not in told
    assert "One training seed" not in told
    assert "\u00b1 is one standard error" in " ".join(told.split())
    assert sheet(found).rows


def test_three_arms_have_their_differences_below_their_numbers_in_print(tmp_path):
    found = many(tmp_path, ["label-only", "mep", "richer"])
    (row,) = [line for line in as_markdown(found).splitlines() if line.startswith("| fd ")]
    assert row.count("<br>") == 2 * 3
    latex = as_latex(found)
    assert r" &  & {\footnotesize $-$2.0 [$-$13.9, +9.9]} & {\footnotesize $-$4.0 [$-$6.0, $-$2.0]} &  &  \\" in latex
