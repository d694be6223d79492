"""Captions that name the truth, and captions whose clusters are dealt out by lot."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mep.artifacts import Prompt
from mep.methods.allocations.per_label import PerLabel
from mep.methods.allocations.per_prompt import PerPrompt
from mep.methods.allocations.table import Table
from mep.methods.allocations.total import Total
from mep.stages.generation.shares import counts_of
from mep.stages.prompts.stage import permuted
from mep.stages.prompts.template import Record, Writer
from mep.stages.prompts.truth import UNKNOWN, truths


@pytest.mark.parametrize("n", [100, 250, 1200])
def test_numbers_are_cut_into_ten_steps_of_equal_count(n):
    values = np.random.default_rng(0).permutation(n) * 0.01
    steps = truths(values.tolist(), n)
    assert set(Counter(steps).values()) == {n // 10}
    order = np.argsort(values)
    assert [int(steps[row]) for row in order] == sorted(map(int, steps))
    assert set(steps) == {str(step) for step in range(1, 11)}


def test_only_training_images_decide_on_the_steps():
    assert truths([*range(100), -5, 1000, 55], 100)[100:] == ["1", "10", "6"]


def test_what_a_csv_holds_is_a_number_too_and_few_numbers_are_a_step_each():
    assert truths(["0.5", "2", "10", "2"], 4) == ["1", "2", "3", "2"]


def test_other_values_stay_as_they_are_and_a_missing_one_is_unknown():
    assert truths(["low", "high", None, "low"], 4) == ["low", "high", UNKNOWN, "low"]
    assert truths([3.0, None, float("nan"), 4.0], 4) == ["1", UNKNOWN, UNKNOWN, "2"]
    assert truths([True, False], 2) == ["true", "false"]


def test_the_caption_says_the_step_in_words_or_the_value():
    writer = Writer(["{label}, density {truth:words}", "{truth}"], {}, {})
    assert writer.write(Record("stained", None, {"truth": "7"})) == ["stained, density seven", "7"]
    assert writer.write(Record("stained", None, {"truth": "high"})) == ["stained, density high", "high"]


def test_step_nine_comes_before_step_ten():
    records = [Record("a", None, {"truth": step}) for step in ("10", "9", "1")]
    assert [record.columns["truth"] for record in sorted(records, key=lambda one: one.sort_key)] == ["1", "9", "10"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), min_size=1, max_size=40), st.integers(0, 9))
def test_permuting_keeps_how_often_each_label_has_each_cluster(pairs, seed):
    labels, clusters = [label for label, _ in pairs], np.array([cluster for _, cluster in pairs])
    dealt = permuted(labels, clusters, np.random.default_rng(seed))
    assert Counter(zip(labels, dealt.tolist(), strict=True)) == Counter(pairs)


def prompts_of(*counts, label="a"):
    return [
        Prompt(f"{label}_truth-{step}", f"{label} {step}", label, None, n, {"truth": str(step)})
        for step, n in enumerate(counts, 1)
    ]


def test_steps_of_truth_share_the_images_of_their_label_as_training_shows_them():
    prompts = [*prompts_of(30, 10), *prompts_of(5, 5, label="b")]
    assert counts_of(PerLabel(kind="per_label", images=8), prompts, [40, 40, 10, 10]) == [6, 2, 4, 4]
    assert counts_of(PerPrompt(kind="per_prompt", images=8), prompts, [40, 40, 10, 10]) == [6, 2, 4, 4]
    assert counts_of(Total(kind="total", images=10), prompts, [40, 40, 10, 10]) == [6, 2, 1, 1]


def test_a_table_counts_every_prompt_by_itself():
    prompts = prompts_of(30, 10)
    assert counts_of(Table(kind="table", images={"a_truth-2": 3}), prompts, [40, 40]) == [0, 3]
