"""Which rows and columns a table has."""

import itertools
from dataclasses import replace

import pytest
from drawn_run import RUN, Drawn, base_halves, finished, scores
from shown_report import comparison

from mep.artifacts.score_row import ScoreRow
from mep.errors import UsageError
from mep.report import (
    View,
    as_markdown,
    select,
    verdict,
)
from mep.report import comparison as compare
from mep.report.data.arms import Arm, StoredScore
from mep.report.tables.rows import TableRow
from mep.report.wording import MEASURED


def test_images_that_several_runs_share_count_once():
    key = ("drawn", "kid", "all", "heldout")

    def arm(run_id, drawn, value):
        score = StoredScore(ScoreRow("kid", "samples"), {}, value, 0.1, 50, 50, "d", f"metrics/{run_id}", 0)
        used = {"generation": f"generation/{drawn}"}
        return Arm(label=run_id, run_id=run_id, name="mep", state="done", used=used, scores={(MEASURED, key): score})

    arms = [arm("first", "a", 1.0), arm("measured-again", "a", 1.1), arm("of-another-seed", "b", 2.0)]
    assert [score.value for score in TableRow("mep", arms).scores(key).values()] == [1.0, 2.0]


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


def test_two_trainings_are_told_apart_by_the_spread_of_all_arms(tmp_path):
    arms = ["label-only", "mep", "label-only#2", "mep#2"]
    drawn = Drawn(tmp_path, arms=["label-only", "mep"])
    drawn.add_arms(arms[2:])
    drawn.shared_stages(arms)
    for arm, value in zip(arms, (40.0, 30.0, 42.0, 33.0), strict=True):
        drawn.publish(scores(value, base_halves()), [arm])
    shared = compare(drawn.store, [RUN]).metrics[0].differences["mep"]
    assert (shared.freedom, shared.spread) == (1, "")  # nothing was trained
    with drawn.store.db.write() as db:
        for arm, stage in itertools.product(arms, ("training", "generation")):
            use = {"run_id": RUN, "arm": arm, "stage": stage, "artifact_id": f"{stage}/{arm}", "how": "made"}
            db.table("uses").insert(use)
    fd = compare(drawn.store, [RUN]).metrics[0].differences["mep"]
    # within arms 2 (1/41)² and 2 (1.5/31.5)², one degree of freedom each: 5.35 % of 36.25, over two trainings
    assert fd.se == pytest.approx(36.25 * ((1 / 41) ** 2 + (1.5 / 31.5) ** 2) ** 0.5)
    assert (fd.freedom, fd.n_pairs) == (2, 2)
    assert fd.spread == "5.4 % as in 1 run of this store"


def test_repeats_of_an_arm_are_one_row_with_mean_and_spread_and_pairs(tmp_path):
    arms = ["label-only", "mep", "label-only#2", "mep#2", "label-only#3", "mep#3"]
    drawn = Drawn(tmp_path, arms=["label-only", "mep"])
    drawn.add_arms(arms[2:])
    drawn.shared_stages(arms)
    for arm, value in zip(arms, (40.0, 30.0, 42.0, 33.0, 44.0, 36.0), strict=True):
        drawn.publish(scores(value, base_halves()), [arm])
    found = compare(drawn.store, [RUN])
    fd = found.metrics[0]
    assert found.arms == ["label-only", "mep"]
    assert (fd.arms["mep"].value, fd.arms["mep"].se, fd.arms["mep"].repeats) == (33.0, 3.0, (30.0, 33.0, 36.0))
    delta = fd.differences["mep"]  # -10, -9, -8: mean -9, sd 1, t(2) = 4.303, so -9 ± 4.303 / sqrt(3)
    assert (delta.value, delta.n_pairs) == (-9.0, 3)
    assert (delta.low, delta.high) == pytest.approx((-9 - 2.4841, -9 + 2.4841), abs=1e-3)
    assert verdict(found)[0].startswith("Over 3 trainings an arm mep is better than label-only by the kernel distance")
    assert "Over 3 training seeds the methods differ." in found.notes
    assert "| **33.0** ± 3.0 |" in as_markdown(found)
    apart = compare(drawn.store, [RUN], group_by="none")
    assert apart.arms == arms
    assert verdict(apart) == [  # of the arms, not of the best of six trainings
        "Kernel distance to held-out images (×10³): label-only 42.0 ± 2.0 and mep 33.0 ± 3.0 (mean and spread of 3 "
        "trainings an arm).",
        "Here every training is a row; without --group-by none, arms are compared over their trainings.",
    ]
    assert not any("is the best of" in note for note in apart.notes)
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
    assert (both.metrics[0].arms["mep"].value, both.metrics[0].arms["mep"].repeats) == (31.2, ())  # the same images


def test_a_run_that_failed_before_its_metrics_shows_exclamation_marks(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    found = comparison(drawn.end("failed", "diverged"))
    assert sum(" | ! | " in line for line in as_markdown(found).splitlines()) == 3
    assert "! the run failed before this number was made." in found.notes
