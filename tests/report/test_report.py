"""The report: one run with two arms, made by hand, told as a table, as Markdown, as JSON and as a page."""

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from drawn_run import (
    HOSTILE,
    N_HALVES,
    RICHER,
    RUN,
    Drawn,
    base_halves,
    better_halves,
    finished,
    scores,
)
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from mep.cli.main import main
from mep.errors import UsageError
from mep.machine.files import append_json_line, read_json
from mep.report import (
    View,
    as_csv,
    as_json,
    as_latex,
    as_markdown,
    as_rich,
    find_runs,
    gather,
    live,
    long_csv,
    long_rows,
    select,
    verdict,
    write_figures,
    write_html,
)
from mep.report import comparison as compare
from mep.report.figures import gallery
from mep.report.figures.charts import line_chart, running_mean, smoothed
from mep.report.figures.gallery import rules_of
from mep.report.figures.pictures import Pictures, spread
from mep.report.page import sections
from mep.report.text import in_markdown, p_text, plain, rounded, rounded_error, shortened
from mep.stages import stages
from mep.store import locks


def comparison(report, **options):
    return compare(report.store, [run.run_id for run in report.runs], **options)


def in_terminal(found, width=80, **options):
    screen = io.StringIO()
    Console(file=screen, width=width).print(as_rich(found, width=width, **options))
    return screen.getvalue()


class Page(HTMLParser):
    """The text of a page as a reader sees it, its tags, and the cells of the table of scores."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.cells, self.attributes, self.open_tables = [], "", [], [], []
        self.in_cell = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "table":
            self.open_tables.append(dict(attrs).get("class"))
        if tag == "td" and {"scores sortable", "deltas"} & set(self.open_tables):
            self.cells.append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag == "table":
            self.open_tables.pop()
        self.in_cell = self.in_cell and tag != "td"

    def handle_data(self, data):
        if self.tags[-1:] not in (["style"], ["script"]):
            self.text += data
        if self.in_cell:
            self.cells[-1] += data


def page_of(report, tmp_path):
    write_html(report, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# Numbers


NUMBER = re.compile(r"[−+]?\d+(?:\.\d+)?")


def expected_numbers(found):
    """Every number of the JSON as it is shown there."""
    told = []
    for one in json.loads(as_json(found))["scores"]:
        told += [number["shown"] for number in [*one["arms"].values(), *one["references"].values()]]
        told += [f"{delta['shown']} {delta['interval']} {p_text(delta['p'])}" for delta in one["differences"].values()]
    return Counter(NUMBER.findall(" ".join(told)))


@pytest.mark.parametrize("transpose", [False, True])
def test_every_format_shows_the_same_numbers(report, tmp_path, transpose):
    found = comparison(report)
    expected = expected_numbers(found)
    assert sum(expected.values()) == 3 * (4 * 2 + 4)  # three metrics: four values ± se; a difference, two ends and p
    found = replace(found, fields={}, notes=[])
    table = "\n".join(line for line in as_markdown(found, transpose=transpose).splitlines() if line.startswith("|"))
    assert Counter(NUMBER.findall(table.replace("×10³", "").replace("95 %", ""))) == expected
    body = as_latex(found, transpose=transpose).split("toprule")[1].split("bottomrule")[0]
    body = body.replace("10$^3$", "").replace("95 ", "").replace("$-$", "−")
    assert Counter(NUMBER.findall(body)) == expected
    screen = in_terminal(found, transpose=transpose).split("images\n", 1)[1]
    assert Counter(NUMBER.findall(screen.replace("×10³", "").replace("95 %", ""))) == expected
    if not transpose:
        assert Counter(NUMBER.findall(" ".join(Page(page_of(report, tmp_path)).cells))) == expected


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
    assert "−12.8<br>−14.8 to −10.8<br>p < 0.001" in as_markdown(comparison(report)).replace("\\<", "<")


def test_the_best_arm_is_bold_whichever_way_is_better(report, tmp_path):
    found = comparison(report)
    assert [sorted(row.best) for row in found.metrics] == [["mep"], ["mep"], ["label-only"]]
    assert "| **31.2** ± 2.0 |" in as_markdown(found)
    assert "| **0.440** ± 0.020 |" in as_markdown(found)
    assert sorted(re.findall(r'class="value best">([^<]*)', page_of(report, tmp_path))) == ["0.440", "31.2", "31.2"]
    screen = io.StringIO()
    Console(file=screen, width=80, force_terminal=True, color_system="standard").print(as_rich(found))
    bold = re.findall(r"\x1b\[1m([0-9.]+) ± [0-9.]+\x1b", screen.getvalue())
    assert sorted(bold) == ["0.440", "31.2", "31.2"]


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
    for text in (as_markdown(found), in_terminal(found), Page(page_of(made, tmp_path)).text):
        assert "†a" in text
    assert "$\\dagger$a" in as_latex(found)
    assert told in as_csv(found)


def test_without_halves_there_is_a_value_and_no_interval(drawn):
    found = comparison(finished(drawn, se=None))
    assert found.metrics[0].arms["mep"].text == "31.2"
    assert "too few images for halves" in found.metrics[0].refusals["mep"]
    assert "| **31.2** |" in as_markdown(found)


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


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (31.24, 3.5, "31.2"),
        (31.25, 0.0996, "31.25"),
        (1234.5, 480, "1230"),
        (-0.001, 0.5, "0.00"),
        (0.53125, None, "0.531"),
        (0.0, 0.0, "0"),
        (0.53125, 0.0, "0.531"),
        (0.9996, None, "1.00"),
        (-12.8, 1.01, "−12.8"),
    ],
)
def test_a_value_ends_where_its_uncertainty_does(value, error, text):
    assert rounded(value, error) == text


@given(st.floats(1e-6, 1e6))
def test_an_error_is_shown_with_two_digits(error):
    assert float(rounded_error(error)) == pytest.approx(error, rel=0.0501)
    assert len(rounded_error(error).replace(".", "").strip("0")) <= 2


def test_many_arms_with_long_names_fit_eighty_columns(tmp_path):
    arms = ["label-only", "mep", "a" * 40, "b" * 64]
    drawn = Drawn(tmp_path, arms=arms)
    drawn.shared_stages(arms)
    for number, arm in enumerate(arms):
        drawn.own_stages(arm, value=44.0 - number, halves=base_halves() - number - np.arange(N_HALVES) / 20)
    found = comparison(drawn.end())
    lines = in_terminal(found).splitlines()
    assert max(map(cell_len, lines)) <= 80
    for row in found.metrics:
        assert all(any(number.text in line for line in lines) for number in row.arms.values())
    assert "bbbb is the best of 3 arms beside the baseline, picked after they were measured" in verdict(found)[1]


# ---------------------------------------------------------------------------------------------------------------------
# Sentences


def test_the_verdict_names_the_better_arm_its_interval_and_what_one_seed_is_worth(report):
    told = verdict(comparison(report))
    assert told[0] == (
        "mep has the lower Fréchet distance to held-out images: 31.2 against 44.0, a difference of −12.8 "
        "(95 % interval −14.8 to −10.8, p < 0.001)."
    )
    assert told[1] == "The 2 other numbers: 1 clearly for mep and 1 clearly for label-only."
    assert told[-1] == "One training seed per arm: this compares two image sets, not yet two methods."


def test_the_verdict_does_not_decide_what_the_interval_leaves_open(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only", value=44.0)
    wide = base_halves() + 8 * np.where(np.arange(N_HALVES) % 2, 1.0, -1.0)
    drawn.own_stages("mep", value=40.0, halves=wide)
    told = verdict(comparison(drawn.end()))
    assert told[0].startswith("mep and label-only cannot be told apart by the Fréchet distance")
    assert told[0].endswith("(95 % interval −19.9 to +11.9, p = 0.62) that includes zero.")  # −4 ± 1.96 · 8 √(40/39)


def test_a_worse_arm_is_told_as_the_baseline_being_better(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only", value=31.2, halves=better_halves())
    drawn.own_stages("mep", value=44.0)
    assert verdict(comparison(drawn.end()))[0] == (
        "label-only has the lower Fréchet distance to held-out images: 31.2 against 44.0 of mep, a difference of +12.8 "
        "(95 % interval +10.8 to +14.8, p < 0.001) of mep to label-only."
    )


def test_a_single_arm_is_held_against_real_images_and_the_floor(tmp_path):
    drawn = Drawn(tmp_path, arms=["mep"])
    drawn.shared_stages(["mep"])
    drawn.own_stages("mep", value=31.2)
    report = drawn.end()
    assert verdict(comparison(report)) == [
        "mep has a Fréchet distance to held-out images of 31.2.",
        "For scale: real training images reach 11.5 and the autoencoder floor is 20.2.",
    ]
    assert "<strong" not in page_of(report, tmp_path)
    assert "**" not in as_markdown(comparison(report))


# ---------------------------------------------------------------------------------------------------------------------
# Rows and columns


def test_columns_and_drop_choose_by_pattern(report):
    found = comparison(report)
    shown = select(found, View(columns=("fd|kid",), drop=("kid",)))
    assert ([metric.id for metric in shown.metrics], list(shown.fields)) == (["random_conv/fd"], [])
    assert [metric.metric for metric in select(found, View(drop=("/k",))).metrics] == ["fd", "precision"]
    only = View(columns=("fd",))
    few = comparison(report, keep=only.keeps)
    assert few.hidden == ["random_conv/kid", "random_conv/precision"]
    assert select(few, replace(only, drop=("kid",))) == select(few, only)  # what is not shown may be dropped
    with pytest.raises(UsageError, match="no column matches 'fid'") as error:
        select(found, View(columns=("fid",)))
    assert "random_conv/fd" in error.value.hint
    with pytest.raises(UsageError, match=r"'\[' is not a regular expression"):
        select(found, View(columns=("[",)))


def test_rows_are_sorted_best_first_and_turned_round_by_a_minus(report):
    found = comparison(report)
    orders = {column: select(found, View(sort=column)).arms for column in ("fd", "-fd", "precision", "-arm")}
    assert orders["fd"] == ["mep", "label-only"]
    assert orders["-fd"] == ["label-only", "mep"]
    assert orders["precision"] == ["label-only", "mep"]  # 0.44 is better than 0.312
    assert orders["-arm"] == ["mep", "label-only"]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("fd<40", ["mep"]),
        ("random_conv/fd >= 40", ["label-only"]),
        ("arm=mep", ["mep"]),
        ("arm != mep", ["label-only"]),
        ("prompts.template~cluster", ["mep"]),
        ("state=done", ["label-only", "mep"]),
    ],
)
def test_where_keeps_rows_that_fulfil_it(report, condition, left):
    assert select(comparison(report), View(where=(condition,))).arms == left


@pytest.mark.parametrize("condition", ["fd", "no.such>=1", "prompts.template<3"])
def test_a_condition_that_means_nothing_is_refused(report, condition):
    with pytest.raises(UsageError):
        select(comparison(report), View(where=(condition,)))


def test_precision_sets_the_digits(report):
    found = comparison(report, precision=2)
    assert [metric.arms["mep"].shown for metric in found.metrics] == ["31 ± 2", "31 ± 2", "0.31 ± 0.02"]
    assert found.metrics[0].arms["mep"].value == 31.2


def test_another_baseline_turns_the_differences_round(report):
    row = comparison(report, baseline="mep").metrics[0]
    assert row.differences["label-only"].value == pytest.approx(12.8)
    assert not comparison(report, baseline="none").has_differences
    with pytest.raises(UsageError, match="'other' is no arm"):
        comparison(report, baseline="other")


def test_repeats_of_an_arm_are_one_row_with_mean_and_spread_and_pairs(tmp_path):
    arms = ["label-only", "mep", "label-only#2", "mep#2", "label-only#3", "mep#3"]
    drawn = Drawn(tmp_path, arms=["label-only", "mep"])
    drawn.shared_stages()
    drawn.add_arms(arms[2:])
    for arm, value in zip(arms, (40.0, 30.0, 42.0, 33.0, 44.0, 36.0), strict=True):
        drawn.publish(scores(value, base_halves()), [arm])
    found = compare(drawn.store, [RUN])
    fd = found.metrics[0]
    assert found.arms == ["label-only", "mep"]
    assert (fd.arms["mep"].value, fd.arms["mep"].se, fd.arms["mep"].repeats) == (33.0, 3.0, (30.0, 33.0, 36.0))
    delta = fd.differences["mep"]  # -10, -9, -8: mean -9, sd 1, t(2) = 4.303, so -9 ± 4.303 / sqrt(3)
    assert (delta.value, delta.n_pairs) == (-9.0, 3)
    assert (delta.low, delta.high) == pytest.approx((-9 - 2.4841, -9 + 2.4841), abs=1e-3)
    assert "Over 3 training seeds the methods differ." in verdict(found)
    assert "| **33.0** ± 3.0 |" in as_markdown(found)
    assert compare(drawn.store, [RUN], group_by="none").arms == arms
    with pytest.raises(UsageError, match="cannot group by 'colour'"):
        compare(drawn.store, [RUN], group_by="colour")


def test_two_runs_stand_in_one_table_with_the_fields_in_which_they_differ(drawn):
    report = finished(drawn)
    again = drawn.copied_run("20261122-1000-other", {"training.steps": 20})
    found = compare(report.store, [RUN, again])
    assert found.arms == [f"{run}/{arm}" for run in (RUN, again) for arm in ("label-only", "mep")]
    assert found.fields["training.steps"] == dict(zip(found.arms, (10, 10, 20, 20), strict=True))
    assert not found.has_differences  # several runs have no baseline until one is named
    named = compare(report.store, [RUN, again], baseline=f"{RUN}/mep")
    assert named.metrics[0].differences[f"{again}/label-only"].value == pytest.approx(12.8)
    both = compare(report.store, [RUN, again], group_by="arm")
    assert both.arms == ["label-only", "mep"]
    assert both.metrics[0].arms["mep"].repeats == (31.2, 31.2)


def test_runs_are_found_by_beginning_and_by_pattern(drawn):
    finished(drawn)
    again = drawn.copied_run("20261122-1000-other", {})
    assert find_runs(drawn.store, []) == [again]
    assert find_runs(drawn.store, ["*"]) == [RUN, again]
    assert find_runs(drawn.store, [again, "*drawn", "20261122-09"]) == [again, RUN]
    with pytest.raises(UsageError, match="'20261122' is ambiguous") as error:
        find_runs(drawn.store, ["20261122"])
    assert RUN in error.value.hint
    with pytest.raises(UsageError, match=r"no run matches 'x\*'"):
        find_runs(drawn.store, ["x*"])


def test_a_run_that_failed_before_its_metrics_shows_exclamation_marks(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    found = comparison(drawn.end("failed", "diverged"))
    line = next(line for line in as_markdown(found).splitlines() if line.startswith("| mep"))
    assert line.count(" ! ") == 3
    assert "! the run failed before this number was made." in found.notes


def test_strict_comparable_exits_with_5_and_says_why(drawn):
    finished(drawn, n=16)
    call = ["--runs", str(drawn.store.root), "report", "--strict-comparable"]
    done = CliRunner().invoke(main, call)
    assert done.exit_code == 5
    assert "the number of generated images: 16, not 32" in done.stderr
    assert CliRunner().invoke(main, [*call, "--where", "arm=mep"]).exit_code == 0


def test_the_table_fits_eighty_columns_of_a_log_and_obeys_no_color(drawn):
    finished(drawn)
    done = CliRunner(env={"NO_COLOR": "1", "FORCE_COLOR": None}).invoke(
        main, ["--runs", str(drawn.store.root), "report", "--precision", "3"]
    )
    assert done.exit_code == 0
    assert max(map(cell_len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.output


def test_figures_come_as_svg_pdf_png_and_csv_with_captions_and_twice_the_same(report, tmp_path):
    found = comparison(report)
    for folder in ("once", "twice"):
        write_figures(report, tmp_path / folder, found)
    names = {path.name for path in (tmp_path / "once").iterdir()}
    for figure in ("metrics", "differences", "loss", "samples", "map"):
        assert {f"{figure}.{kind}" for kind in ("svg", "pdf", "png", "csv")} <= names
        assert f"**{figure}.**" in (tmp_path / "once" / "captions.md").read_text()
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes(), name
    rows = {(row["metric"], row["arm"]): row for row in csv.DictReader((tmp_path / "once" / "metrics.csv").open())}
    assert float(rows["random_conv/fd", "mep"]["value"]) == 31.2


def test_a_hostile_name_survives_in_figures_for_print(tmp_path):
    drawn = Drawn(tmp_path, labels=["$x_{1}$ <b>", "\u202eevil"])
    report = finished(drawn)
    write_figures(report, tmp_path / "figures", comparison(report))
    svg = (tmp_path / "figures" / "samples.svg").read_text()
    assert "$x_{1}$ &lt;b&gt;" in svg
    assert "\u202e" not in svg


# ---------------------------------------------------------------------------------------------------------------------
# Runs that did not end


def test_a_half_finished_run_tells_what_it_has_and_names_what_is_missing(drawn, tmp_path):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    drawn.attempt("training/" + "f" * 32, "running")
    report = gather(drawn.store, [RUN])  # it says `running`, but nobody holds its lock
    found = comparison(report)
    assert report.runs[0].state == "interrupted"
    assert {"prompts", "training", "generation", "metrics"} <= set(found.missing["mep"])
    assert [one.state for one in report.runs[0].stages if one.artifact_id.endswith("f" * 32)] == ["interrupted"]
    for told in (as_markdown(found), in_terminal(found), Page(page_of(report, tmp_path)).text):
        assert re.search(r"mep has no .*prompts,.* generation,", told)
        assert "44.0" in told
    assert "mep has no metrics yet." in verdict(found)
    assert f"mep resume {RUN}" in page_of(report, tmp_path)


def test_a_failed_run_that_made_nothing_still_has_a_page(drawn, tmp_path):
    drawn.attempt("dataset/" + "f" * 32, "failed", "02.png does not decode")
    report = drawn.end("failed", "02.png does not decode")
    found = comparison(report)
    assert set(found.missing["mep"]) == set(stages())
    assert verdict(found) == ["Nothing can be compared yet: the run is failed, and no arm has metrics."]
    assert "This run failed: 02.png does not decode" in Page(page_of(report, tmp_path)).text
    assert as_markdown(found)
    assert json.loads(as_json(found))["scores"] == []
    assert "Nothing can be compared" in in_terminal(found)


def test_an_artifact_whose_files_are_gone_is_missing(drawn, tmp_path):
    report = finished(drawn)
    artifact_id = next(arm.artifact_ids["generation"] for arm in report.arms if arm.name == "mep")
    next((drawn.store.root / "store" / artifact_id).rglob("*.png")).unlink()
    arm = gather(drawn.store, [RUN]).arms[1]
    assert (arm.missing, arm.lost) == (["generation"], ["generation"])
    assert "The files of generation cannot be read: they were deleted or damaged since" in page_of(
        gather(drawn.store, [RUN]), tmp_path
    )


def test_images_that_were_deleted_since_are_told_in_place(report, drawn, tmp_path):
    before = page_of(report, tmp_path)
    for path in drawn.folder.iterdir():
        path.unlink()
    (drawn.folder / drawn.ids[0]).write_bytes(b"not an image")
    after = page_of(gather(drawn.store, [RUN]), tmp_path)
    assert "deleted since" not in before
    assert after.count("deleted since</span>") > 20
    assert "unreadable now</span>" in after


def test_a_run_that_is_not_there_is_an_error_of_the_command_line(drawn):
    with pytest.raises(UsageError, match="no run 'other'"):
        gather(drawn.store, ["other"])


# ---------------------------------------------------------------------------------------------------------------------
# Names


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: text[:10])
def test_a_hostile_name_is_shown_as_text(tmp_path, hostile):
    drawn = Drawn(tmp_path, labels=[hostile, "other"], template=hostile + " {label}")
    report = finished(drawn)
    html = page_of(report, tmp_path)
    page = Page(html)
    assert plain(hostile) in page.text
    assert page.tags.count("script") == 1  # its own, which a digest in the page's policy names
    assert "\u202e" not in html
    found = comparison(report)
    assert json.loads(as_json(found))["fields"]["prompts.template"]["label-only"] == hostile + " {label}"
    shown = plain(hostile)[:20]
    assert in_markdown(shown) in as_markdown(found)
    assert not re.search(r"(?<!\\)<script", as_markdown(found))
    assert "".join(shown.split()) in "".join(in_terminal(found, width=200).split())
    assert not re.search(
        r"(?<!\\)[_%&#]", as_latex(found).split("toprule")[1].split("bottomrule")[0].replace(" & ", "")
    )
    for text in (as_csv(found), long_csv(long_rows(found))):
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        assert not any(re.match(r"[=@\t\r]|[+-](?![\d.])", cell) for cell in cells)
    wide = {row["row"]: row for row in csv.DictReader(io.StringIO(as_csv(found)))}
    assert wide["label-only"]["prompts.template"].removeprefix("'") == hostile + " {label}"


def test_a_pipe_in_a_name_makes_no_column(tmp_path):
    found = comparison(finished(Drawn(tmp_path, template="a|b|c {label}")))
    table = [line for line in as_markdown(found).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {6}  # arm, template and three metrics


@given(st.text(max_size=40))
def test_markdown_escapes_leave_the_text_as_it_was(text):
    assert re.sub(r"\\([\\`*_\[\]<>|~&#$])", r"\1", in_markdown(text)) == text


@given(st.text(max_size=60))
def test_plain_text_is_one_line_that_does_not_turn_around(text):
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", plain(text))


def test_long_values_are_cut_where_they_begin_to_differ():
    long = "Histology image of tissue at high magnification of one colon slide"
    short = shortened({"a": f"{long}", "b": f"{long} with clusters"})
    assert short == {"a": "… colon slide", "b": "… colon slide with clusters"}


# ---------------------------------------------------------------------------------------------------------------------
# The page


def test_the_page_needs_nothing_but_itself(report, tmp_path):
    html = page_of(report, tmp_path)
    page = Page(html)
    assert not {"iframe", "object", "base"} & set(page.tags)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html
    references = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith(("data:image/webp;base64,", "data:,", "#")) for value in references)
    assert re.findall(r"url\((?!data:)", html) == []
    assert "@import" not in html
    assert len(html) < 15e6


def test_every_picture_has_a_text_and_every_heading_cell_a_scope(report, tmp_path):
    html = page_of(report, tmp_path)
    assert html.count("<img") > 20
    assert all(re.search(r'alt="[^"]{5,}"', tag) for tag in re.findall(r"<img[^>]*>", html))
    assert all("scope=" in tag for tag in re.findall(r"<th[ >][^>]*", html))


def test_the_page_shows_every_section_of_a_finished_run(tmp_path):
    text = Page(page_of(finished(Drawn(tmp_path, useful=True)), tmp_path)).text
    for told in (
        "1 of 8 images were removed",
        "std_v < 4",
        "benign, cluster 1: 3 images left out",
        "Image of benign",
        "Cluster 0",
        "4 images, 50 %",
        "Running mean over 2 steps",
        "template: Image of {label} tissue",
        RUN,
        "torch",
    ):
        assert told in text


def test_a_cluster_card_shows_the_images_nearest_its_centre_first(report):
    card = gallery.cluster_tiles(report, gallery.drawn(report))[0].cards[0]
    assert [picture.alt.split()[2] for picture in card.nearest] == ["01.png,", "03.png,", "00.png,", "02.png,"]
    assert card.mix == [("benign", 0.5), ("tumour", 0.5)]


def test_samples_of_all_arms_stand_under_training_images_of_their_own_prompt(report):
    block = gallery.prompt_blocks(gallery.drawn(report)).blocks[1]
    assert (block.id, block.title) == ("p1", "Image of tumour")
    assert [(strip.arms, strip.n) for strip in block.strips] == [([], 3), (["label-only"], 2), (["mep"], 2)]
    assert [picture.alt.split()[2] for picture in block.strips[0].pictures] == ["01.png,", "03.png,", "05.png,"]
    assert block.same_noise


def test_a_label_shows_held_out_images_above_those_of_every_arm(report):
    blocks = gallery.label_blocks(report, gallery.drawn(report)).blocks
    assert [block.title for block in blocks] == ["benign", "tumour"]
    told = [(strip.what, strip.arms) for strip in blocks[0].strips]
    real = [("real, held out", []), ("real, training", [])]
    assert told == [*real, ("generated", ["label-only"]), ("generated", ["mep"])]


def test_a_full_page_leaves_pictures_out_and_says_so(report, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "CLUSTER_BUDGET", 1)
    monkeypatch.setattr(gallery, "PROMPT_BUDGET", 1)
    text = Page(page_of(report, tmp_path)).text
    assert "1 of 2 clusters are shown" in text
    assert "1 of 2 prompts are shown" in text


def test_small_pictures_grow_by_whole_multiples_and_large_ones_shrink():
    pictures = Pictures(1e6)
    sizes = {side: pictures.of(lambda side=side: np.zeros((side, side + 9, 3), np.uint8), "") for side in (20, 96, 512)}
    assert [(one.shown_px, one.enlarged) for one in sizes.values()] == [(80, True), (96, False), (128, False)]


def test_rules_are_counted_without_what_was_measured():
    assert rules_of("std_v 3.2 < 4, var_l 1e-05 < 100") == ["std_v < 4", "var_l < 100"]
    assert rules_of("too far from its neighbours") == ["too far from its neighbours"]


def test_positions_are_spread_from_the_first_to_the_last():
    assert spread(3, 8) == [0, 1, 2]
    assert spread(101, 5) == [0, 25, 50, 75, 100]


def test_a_running_mean_is_drawn_at_the_last_step_that_it_covers():
    assert running_mean(np.array([1.0, 2.0, 6.0, 0.0]), 2).tolist() == [1.5, 4.0, 3.0]
    curve = smoothed("a", [(step, float(step)) for step in range(50)], 0)  # a window of 50 // 25 = 2
    assert (curve.steps[0], curve.values[0], len(curve.steps)) == (1, 0.5, 49)


def test_a_long_curve_keeps_both_ends_and_its_shape():
    curve = smoothed("a", [(step, 2.0 * step) for step in range(20_000)], 0)  # windows of 200 steps
    assert len(curve.steps) == len(curve.values) == 300
    assert (curve.steps[0], curve.steps[-1]) == (199, 19_999)
    assert np.allclose(curve.values, 2 * curve.steps - 199)  # the mean of 2s - 398, ..., 2s


def test_a_falling_loss_is_drawn_from_the_upper_left_to_the_lower_right():
    curve = smoothed("a<b", [(step, 1.0 - step / 10) for step in range(10)], 0)
    svg = line_chart([curve], label="loss", description='the "loss"')
    points = [tuple(map(float, point.split(","))) for point in re.search(r'points="([^"]*)', svg)[1].split()]
    assert points == sorted(points)
    assert points[0][1] < points[-1][1]  # y grows downwards
    assert "a&lt;b" in svg
    assert "the &#34;loss&#34;" in svg


def test_importing_the_report_imports_nothing_heavy():
    heavy = ["numpy", "PIL", "matplotlib", "jinja2", "pyarrow", "torch", "rich"]
    code = f"import sys, mep.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_reused_artifact_tells_who_made_it_and_how_long_that_took(report, drawn):
    with drawn.store.db.write() as db:
        db.execute("UPDATE uses SET how = 'reused'")
        db.execute("UPDATE attempts SET wall_s = 7 WHERE artifact_id LIKE 'training/%'")
    training = [one for one in gather(drawn.store, [RUN]).runs[0].stages if one.stage == "training"]
    assert [(one.state, one.wall_s, one.made_by) for one in training] == [("reused", 7.0, RUN)] * 2
    assert [one.arms for one in training] == [("label-only",), ("mep",)]
    assert read_json(drawn.store.root / "store" / training[0].artifact_id / "manifest.json")["made_by"] == RUN


def test_the_confusion_matrix_has_shares_of_what_was_asked_for(report):
    cluster, label = sections.confusions(report)[:2]
    assert [(name, shares[:2], n) for name, shares, n in cluster.rows] == [("0", [1, 0], 2), ("1", [0.5, 0.5], 2)]
    assert (cluster.share, cluster.ceiling, label.share) == (0.75, 1.0, 1.0)


def test_usefulness_is_drawn_over_the_number_of_real_images(tmp_path):
    chart = sections.usefulness(finished(Drawn(tmp_path, useful=True)))[0]
    curves = {curve.name: (curve.steps.tolist(), curve.values.tolist()) for curve in chart.curves}
    assert curves["mep beside real"] == ([0, 100], [0.7, 0.9])
    assert curves["real alone"] == ([50, 100], [0.75, 0.8])
    assert [statement for _, statement in chart.statements] == ["Not told apart.", "Not told apart."]


def test_a_near_copy_stands_beside_the_training_image_that_it_is_near_to(report):
    pair = sections.near_copies(report, gallery.drawn(report))[0].pairs[0]
    assert [picture.alt.split(",")[0] for picture in pair[:2]] == [
        "generated image 1 of Image of benign",
        "real image 00.png",
    ]
    assert pair[2:] == (0.25, 0.5)


# ---------------------------------------------------------------------------------------------------------------------
# A run that goes on


def test_watching_tells_the_stage_its_pace_and_its_loss(drawn):
    drawn.shared_stages()
    artifact_id = "training/" + "f" * 32
    began = datetime.now(UTC) - timedelta(seconds=60)
    with drawn.store.db.write() as db:
        row = {"run_id": RUN, "artifact_id": artifact_id, "why": "first time", "state": "running"}
        db.table("attempts").insert(row | {"started_at": began.isoformat(), "arms": '["mep"]'})
    work = drawn.store.work_folder(*artifact_id.split("/"))
    for step in range(100):
        append_json_line(make(work) / "training.jsonl", {"step": step, "loss": 1 - step / 100})
    with (drawn.store.run_folder(RUN) / "log.txt").open("a") as log:
        for seconds, done in ((20, 100), (50, 250)):
            at = (began + timedelta(seconds=seconds)).isoformat()
            log.write(f"{at} training[mep] {done}/1000 loss 0.5\n")
    with locks.hold(drawn.store.run_folder(RUN) / "lock"):
        found = live.snapshot(drawn.store, None)
        done = CliRunner().invoke(main, ["--runs", str(drawn.store.root), "watch", "--once"])
    assert found.state == "running"
    assert [(one.stage, one.arms, one.done, one.total) for one in found.now] == [("training", ["mep"], 250, 1000)]
    assert found.now[0].left_s == pytest.approx(750 / 5 - 10, abs=3)  # five steps a second, ten seconds ago
    assert len(found.now[0].losses) == 100
    assert re.search(r"> training .*\[mep\].* 250/1000, .*left", done.stdout)
    assert "loss 0.0100 ███" in done.stdout
    assert "\x1b" not in done.stdout


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_watching_a_run_that_ended_shows_it_and_ends(report, drawn):
    done = CliRunner().invoke(main, ["--runs", str(drawn.store.root), "watch"])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{RUN}  done")
    assert (
        json.loads(CliRunner().invoke(main, ["--runs", str(drawn.store.root), "watch", "--json"]).stdout)["now"] == []
    )


@given(st.lists(st.floats(-1e6, 1e6), max_size=200))
def test_a_sparkline_has_a_character_for_every_value_up_to_its_width(values):
    assert len(live.sparkline(values, 40)) == min(len(values), 40)


def test_a_falling_loss_falls_in_its_sparkline():
    assert live.sparkline([3.0, 2.0, 1.0], 3) == "█▅▁"
    assert live.sparkline([1.0], 3) == "▁"
