"""The sentence on how far the headline's p can be trusted."""

import pytest

from mep.report.tables.comparison import Delta, Metric
from mep.report.tables.level import IMAGES, TRAININGS, level_of


def metric(name, *deltas):
    arms = {f"arm-{number}": delta for number, delta in enumerate(deltas)}
    return Metric("drawn", name, "all", "matched", "lower", 1.0, {}, {}, arms, {})


def delta(n_pairs=0, freedom=None):
    return Delta(1.0, 0.5, 0.0, 2.0, 0.05, n_pairs, freedom=freedom)


def test_the_sentence_is_that_of_the_test_behind_the_differences():
    assert level_of(metric("kid", delta(), delta())) == IMAGES.sentence
    assert level_of(metric("kid", delta(3, 2))) == TRAININGS[3].sentence
    assert level_of(metric("fd", delta(7, 6))) == TRAININGS[5].sentence  # the nearest below


@pytest.mark.parametrize("untried", [metric("kid"), metric("fd", delta(0, 19)), metric("kid", delta(2, 1))])
def test_a_test_that_was_not_tried_gets_no_sentence(untried):
    assert level_of(untried) == ""


def test_the_sentence_names_level_power_and_how_often_it_was_tried():
    sentence = TRAININGS[3].sentence
    assert "4.9 % of 10,000 simulated comparisons, 5 % is promised" in sentence
    assert "twice the spread between trainings was found in 29 % (3 trainings an arm" in sentence
