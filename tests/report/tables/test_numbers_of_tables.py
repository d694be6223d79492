"""The same numbers in every form of the table, with their differences, marks and notes."""

import csv
import io
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from drawn_run import N_HALVES, RICHER, Drawn, base_halves, finished
from rich.cells import cell_len
from rich.console import Console
from shown_report import Page, comparison, in_terminal, page_of

from mep.cli.main import main
from mep.report import (
    as_csv,
    as_json,
    as_latex,
    as_markdown,
    as_rich,
    long_csv,
    long_rows,
    verdict,
    write_html,
)
from mep.report.text import p_text

NUMBER = re.compile(r"[−+]?\d+(?:\.\d+)?")


def expected_numbers(found, errors_of_references=True):
    """Every number of the JSON as it is shown there."""
    told = []
    for one in json.loads(as_json(found))["scores"]:
        told += [number["shown"] for number in one["arms"].values()]
        references = [number["shown"] for number in one["references"].values()]
        told += references if errors_of_references else [text.split(" ± ")[0] for text in references]
        told += [f"{delta['shown']} {delta['interval']} {p_text(delta['p'])}" for delta in one["differences"].values()]
    return Counter(NUMBER.findall(" ".join(told)))


@pytest.mark.parametrize("transpose", [False, True])
def test_every_format_shows_the_same_numbers(report, transpose):
    found = comparison(report)
    expected = expected_numbers(found)
    assert sum(expected.values()) == 3 * (4 * 2 + 4)  # three metrics: four values ± se; a difference, two ends and p
    found = replace(found, fields={}, notes=[])
    table = "\n".join(line for line in as_markdown(found, transpose=transpose).splitlines() if line.startswith("|"))
    assert Counter(NUMBER.findall(table.replace("×10³", "").replace("95 %", ""))) == expected
    body = as_latex(found, transpose=transpose).split("toprule")[1].split("bottomrule")[0]
    body = re.sub(r"\\begin\{picture\}.*?\\end\{picture\}|multicolumn\{\d+\}", "", body)
    body = body.replace("10$^3$", "").replace("95 ", "").replace("$-$", "−")
    assert Counter(NUMBER.findall(body)) == expected
    screen = in_terminal(found, width=150, transpose=transpose).split("\n\n", 1)[1]
    shown = Counter(NUMBER.findall(screen.replace("×10³", "").replace("95 %", "")))
    errors = [number.se_text for metric in found.metrics for number in metric.references.values()]
    assert shown == (expected if transpose else expected - Counter(errors))  # real images stand there as marks


def test_the_page_shows_the_numbers_of_the_other_formats(report, tmp_path):
    cells = " ".join(Page(page_of(report, tmp_path)).cells)
    assert Counter(NUMBER.findall(cells)) == expected_numbers(comparison(report), errors_of_references=False)


def test_csv_and_the_long_table_hold_what_json_holds_to_the_last_digit(report):
    found = comparison(report)
    data = {one["id"]: one for one in json.loads(as_json(found))["scores"]}
    wide = {row["row"]: row for row in csv.DictReader(io.StringIO(as_csv(found)))}
    long = {(row["row"], row["metric"]): row for row in csv.DictReader(io.StringIO(long_csv(long_rows(found))))}
    for name, one in data.items():
        for row, number in {**one["arms"], **one["references"]}.items():
            assert float(wide[row][name]) == float(long[row, one["metric"]]["value"]) == number["value"]
            assert float(wide[row][f"{name} se"]) == float(long[row, one["metric"]]["se"]) == number["se"]
        assert float(wide["mep"][f"{name} p"]) == one["differences"]["mep"]["p"]
    assert wide["mep"]["prompts.template"] == RICHER


def test_json_keeps_what_was_measured_to_the_last_digit(report):
    kid = json.loads(as_json(comparison(report)))["scores"][1]
    assert kid["arms"]["mep"]["value"] == 31.2 * 0.001
    assert (kid["shown_times"], kid["arms"]["mep"]["shown"]) == (1000, "31.2 ± 2.0")


def test_a_difference_is_the_arm_minus_the_baseline_with_its_interval(report):
    row = comparison(report).metrics[0]
    delta = row.differences["mep"]
    se = np.sqrt(40 / 39)  # 40 values, half of them 1 above and half 1 below their mean
    assert delta.value == pytest.approx(-12.8)
    assert (delta.low, delta.high) == pytest.approx((-12.8 - 1.959964 * se, -12.8 + 1.959964 * se), abs=1e-6)
    shown = as_markdown(comparison(report)).replace("\\", "")
    assert "| −12.8 | [−14.8, −10.8] | p <0.001 |" in shown


def test_the_best_arm_is_bold_whichever_way_is_better(report, tmp_path):
    found = comparison(report)
    assert [sorted(row.best) for row in found.metrics] == [["mep"], ["mep"], ["label-only"]]
    assert "| **31.2** ± 2.0 |" in as_markdown(found)
    assert "| **0.440** ± 0.020 |" in as_markdown(found)
    coloured = re.findall(r'<td class="n (better|worse)"[^>]*><span[^>]*>([^<]*)', page_of(report, tmp_path))
    assert sorted(coloured) == [("better", "31.2"), ("better", "31.2"), ("worse", "0.312")]
    screen = io.StringIO()
    Console(file=screen, width=80, force_terminal=True, color_system="standard").print(as_rich(found))
    bold = re.findall(r"\x1b\[1m *([0-9.]+)\x1b", screen.getvalue())
    assert sorted(bold) == ["0.440", "31.2", "31.2"]


def test_nothing_is_bold_where_nothing_differs_clearly(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    drawn.own_stages("mep", value=40.0, halves=base_halves() + 8 * np.where(np.arange(N_HALVES) % 2, 1.0, -1.0))
    found = comparison(drawn.end())
    assert found.metrics[0].differences["mep"].low < 0 < found.metrics[0].differences["mep"].high
    assert not any(metric.best for metric in found.metrics)
    assert not re.search(r"\*\*\d", as_markdown(found))
    assert not any("Bold" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"n": 16}, "the number of real images: 16, not 32; the number of generated images: 16, not 32"),
        ({"digest": "cd" * 32}, "the weights of the extractor: cdcdcdcdcdcd…, not abababababab…"),
        ({"seed": 2}, "the seed of subsets and halves: 2, not 1"),
    ],
)
def test_numbers_that_were_not_made_alike_get_a_dagger_and_are_not_compared(drawn, tmp_path, changed, told):
    made = finished(drawn, **changed)
    found = comparison(made)
    assert not any(metric.best or metric.differences for metric in found.metrics)
    assert list(found.footnotes) == ["a"]
    assert told in found.footnotes["a"]
    assert "cannot be compared" in verdict(found)[0]
    for text in (
        as_markdown(found),
        in_terminal(found),
        in_terminal(found, notes=True),
        Page(page_of(made, tmp_path)).text,
    ):
        assert "†a" in text
    assert "$\\dagger$a" in as_latex(found)
    assert told in as_csv(found)


def test_without_halves_there_is_a_value_and_no_interval(drawn):
    found = comparison(finished(drawn, se=None))
    assert found.metrics[0].arms["mep"].text == "31.2"
    assert "too few images for halves" in found.metrics[0].refusals["mep"]
    assert "| 31.2 |" in as_markdown(found)  # nobody knows whether it is the best


def test_a_score_without_enough_images_is_a_gap_with_its_reason(drawn, tmp_path):
    made = finished(drawn, too_few=("precision",))
    row = next(row for row in comparison(made).metrics if row.metric == "precision")
    assert row.arms["mep"].text == "-"
    assert row.best == frozenset()
    assert "there are too few images" in row.refusals["mep"]
    assert any(note.startswith("‡ too_few_images:") for note in comparison(made).notes)
    assert json.loads(as_json(comparison(made)))
    write_html(made, tmp_path / "gap.html")


def test_references_stand_once_when_arms_share_them(report, drawn):
    assert comparison(report).references == ["real training images", "autoencoder floor"]
    assert as_markdown(comparison(report)).count(" 11.5 ± 2.0 ") == 2  # fd, and kid times 1000


def test_a_deficient_rank_is_marked_where_it_matters(drawn):
    found = comparison(finished(drawn, flags=["rank_deficient"]))
    assert [row.title for row in found.metrics] == ["fd ↓‡", "kid ×10³ ↓", "precision ↑"]
    assert any(note.startswith("‡ rank_deficient:") for note in found.notes)


def test_many_arms_with_long_names_fit_eighty_columns(tmp_path):
    arms = ["label-only", "mep", "a" * 40, "b" * 64]
    drawn = Drawn(tmp_path, arms=arms)
    drawn.shared_stages(arms)
    for number, arm in enumerate(arms):
        drawn.own_stages(arm, value=44.0 - number, halves=base_halves() - number - np.arange(N_HALVES) / 20)
    found = comparison(drawn.end())
    for transpose in (None, True):
        lines = in_terminal(found, transpose=transpose).splitlines()
        assert max(map(cell_len, lines)) <= 80
        for row in found.metrics:
            assert all(any(number.text in line for line in lines) for number in row.arms.values())
    assert any("bbbb is the best of 3 arms beside the baseline, picked" in note for note in found.notes)


def test_the_table_fits_eighty_columns_of_a_log_and_obeys_no_color(drawn):
    finished(drawn)
    done = CliRunner(env={"NO_COLOR": "1", "FORCE_COLOR": None}).invoke(
        main, ["--runs", str(drawn.store.root), "report", "--precision", "3"]
    )
    assert done.exit_code == 0
    assert max(map(cell_len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.output


def test_strict_comparable_exits_with_5_and_says_why(drawn):
    finished(drawn, n=16)
    call = ["--runs", str(drawn.store.root), "report", "--strict-comparable"]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 5
    assert "the number of generated images: 16, not 32" in done.stderr
    assert CliRunner().invoke(main, [*call, "--where", "arm=mep"]).exit_code == 0
