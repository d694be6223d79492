"""The one table that all formats draw: groups of rows, arms as columns, differences and where they lie."""

from dataclasses import replace

import pytest
from drawn_run import RUN, Drawn, base_halves, better_halves, finished, scores
from shown_report import comparison

from mep.report import comparison as compare
from mep.report.tables.overview import group_of, headline_of, overview_of
from mep.report.tables.row_names import names_of, title_of
from mep.report.tables.sheet import sheet


def key(metric, extractor="features", group="all", reference="heldout"):
    return extractor, metric, group, reference


def test_a_row_has_the_arms_then_the_difference_with_its_interval_and_p(report):
    found = sheet(comparison(report))
    assert [(group.key, [row.name for row in group.rows]) for group in found.groups] == [
        ("quality", ["kid ×10³ ↓", "fd ↓", "precision ↑"])
    ]
    fd = found.rows[1]
    assert {label: number.text for label, number in fd.values.items()} == {"label-only": "44.0", "mep": "31.2"}
    (contrast,) = fd.contrasts
    assert (contrast.difference, contrast.interval, contrast.p) == ("−12.8", "[−14.8, −10.8]", "<0.001")
    assert [row.outcome for row in found.rows] == ["better", "better", "worse"]
    assert found.settings["prompts.template"]["mep"] == "… {label} tissue, type {cluster:words}"


def test_real_images_lie_on_the_axis_of_the_difference(report):
    fd = sheet(comparison(report)).rows[1]
    (contrast,) = fd.contrasts
    low, value, high = contrast.ends
    assert (value - low, high - value) == pytest.approx((1.96, 1.96), abs=1e-3)
    assert value > 0  # lower is better: the better side is the right one
    # 11.5 against 44.0 of the baseline, where -12.8 lies at `value`
    assert fd.places(contrast)[0] == pytest.approx((11.5 - 44.0) / -12.8 * value)


def test_matched_images_lead_and_the_natural_ones_ask_whether_the_dataset_is_right():
    keys = [
        key(metric, reference=reference) for metric in ("fd", "kid", "recall") for reference in ("heldout", "matched")
    ]
    assert headline_of(keys) == key("kid", reference="matched")
    assert {group_of(one, keys) for one in keys if one[3] == "heldout"} == {"dataset"}
    assert overview_of(keys) == {one for one in keys if one != key("recall")}
    assert headline_of([key("fd"), key("kid")]) == key("kid")
    assert headline_of([key("precision")]) == key("precision")


def test_a_second_extractor_is_a_second_opinion_of_one_row():
    keys = [key(metric, extractor) for extractor in ("trained", "random") for metric in ("fd", "kid", "recall")]
    assert overview_of(keys) - overview_of(keys[:3]) == {key("kid", "random")}
    assert group_of(key("kid", "random"), keys) == "opinion"
    assert headline_of(keys) == key("kid", "trained")


def test_metrics_of_the_same_name_are_told_apart(report):
    (kid, *_) = comparison(report).metrics

    def metric(extractor, reference="heldout"):
        return replace(kid, metric="kid", extractor=extractor, reference=reference, scale=1, arms={})

    to_train = [metric("lite", "train"), metric("random", "train")]
    assert names_of(to_train, "copies") == ["kid to train ↓", "kid to train, random ↓"]
    opinions = [metric("random", "matched"), metric("random")]
    assert names_of(opinions, "opinion") == ["kid ↓", "kid to all held-out ↓"]
    assert title_of("opinion", opinions) == "Second opinion (random)"
    assert names_of([metric("one"), metric("other")], "opinion") == ["kid, one ↓", "kid, other ↓"]


def test_controls_are_no_columns_unless_asked_for(tmp_path):
    arms = ["label-only", "mep", "control-negative"]
    drawn = Drawn(tmp_path)
    drawn.shared_stages()
    drawn.add_arms(arms[2:])
    for arm in arms:
        drawn.publish(scores(44.0, better_halves()), [arm])
    found = compare(drawn.store, [RUN])
    assert (sheet(found).arms, sheet(found).controls) == (arms[:2], arms[2:])
    assert sheet(found, controls=True).arms == arms
    assert [contrast.arm for contrast in sheet(found).rows[0].contrasts] == ["mep"]


def test_a_field_that_only_one_method_has_is_no_setting(report):
    found = comparison(report)
    fields = {"clustering.method.n_init": {"mep": 3}, "seed": {"label-only": 1, "mep": 2}}
    assert list(sheet(replace(found, fields=fields)).settings) == ["seed"]


def test_a_kernel_distance_is_shown_times_1000_only_where_it_is_small(drawn):
    drawn.shared_stages()
    for arm, value in (("label-only", 310.0), ("mep", 40.0)):
        drawn.publish(scores(value, base_halves()), [arm])
    report = drawn.end()
    kid = compare(report.store, [run.run_id for run in report.runs]).metrics[1]
    assert (kid.title, kid.arms["label-only"].text) == ("kid ↓", "0.3100")
    again = Drawn(drawn.root / "again")
    assert comparison(finished(again)).metrics[1].title == "kid ×10³ ↓"
