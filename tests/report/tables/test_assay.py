"""The assay: what the controls say of a comparison, before anybody reads the rest."""

import pytest

from mep.recipe.controls import NEGATIVE, POSITIVE, SHUFFLED
from mep.report.tables.assay import assay_of
from mep.report.tables.comparison import Comparison, Delta, Metric, Number

RUN = "20261122-0900-drawn"
ALL = {"negative": "run", "shuffled": "run", "positive": "run"}
NOTHING, BETTER, WORSE = (1.0, -4.0, 6.0), (-20.0, -30.0, -10.0), (20.0, 10.0, 30.0)


def compared(controls=ALL, n_pairs=5, spread="", reference="matched", better="lower", **outcomes):
    """A comparison whose arms differ from the baseline as told: value, low, high."""
    labels = ["base", "mep", *(f"control-{name}" for name in outcomes)]
    number = Number(950.0, 12.0, "950", "12", None)
    differences = {
        f"control-{name}": Delta(value, (high - low) / 4, low, high, 0.004, n_pairs, spread=spread)
        for name, (value, low, high) in outcomes.items()
    }
    measured = Metric(
        *("efficientnet_lite0", "kid", "all", reference, better, 1, dict.fromkeys(labels, number), {}, differences, {})
    )
    members = {label: [f"{RUN}/{label}"] for label in labels}
    return Comparison(
        *("drawn", {RUN: "done"}, labels, "base", dict.fromkeys(labels, "done"), members, {}, [], [measured], {}, {}),
        *([], []),
        controls,
    )


def test_an_assay_is_valid_where_it_finds_what_is_there_and_nothing_else():
    assay = assay_of(compared(negative=NOTHING, shuffled=NOTHING, positive=BETTER))
    assert assay.valid is True
    assert assay.sentence == (
        "Assay valid: it finds the positive control (\u221220.0, [\u221230.0, \u221210.0]) and nothing in the "
        "negative one (+1.0, [\u22124.0, +6.0]); longer captions alone change nothing."
    )
    assert [(row.control, row.arm, row.showed, row.passed) for row in assay.rows] == [
        ("negative", NEGATIVE, "no difference", True),
        ("shuffled", SHUFFLED, "no difference", True),
        ("positive", POSITIVE, "better", True),
    ]
    assert assay.rows[2].cells[1:4] == ("better", "better", "\u221220.0")
    assert assay.rows[2].cells[-2:] == ("0.004", "passed")
    assert assay.rows[2].interval == "[\u221230.0, \u221210.0]"


@pytest.mark.parametrize(
    ("outcomes", "sentence"),
    [
        (
            {"negative": BETTER, "positive": BETTER},
            "Assay not valid: it finds a difference where there is none (\u221220.0, the baseline from other seeds).",
        ),
        (
            {"negative": NOTHING, "positive": NOTHING},
            "Assay not valid: it misses the positive control (+1.0, the smallest that it could have seen is 7.0), so "
            "it can tell no small difference from none.",
        ),
        ({"negative": NOTHING, "positive": WORSE}, "Assay not valid: captions with the truth are worse (+20.0)."),
    ],
)
def test_an_assay_that_misses_or_invents_a_difference_is_not_valid(outcomes, sentence):
    assay = assay_of(compared({"negative": "run", "positive": "run"}, **outcomes))
    assert (assay.valid, assay.sentence) == (False, sentence)


def test_for_a_score_where_higher_is_better_better_is_up():
    assert assay_of(compared(negative=NOTHING, shuffled=NOTHING, positive=WORSE, better="higher")).valid is True


@pytest.mark.parametrize("n_pairs", [0, 2])
def test_too_few_trainings_judge_nothing(n_pairs):
    assay = assay_of(compared(negative=BETTER, shuffled=NOTHING, positive=BETTER, n_pairs=n_pairs))
    assert assay.valid is None
    n = max(n_pairs, 1)
    plural = "s" * (n > 1)
    assert assay.sentence == (
        f"Assay not judged: negative control better so far: {n} training{plural} an arm, at least 3 are needed."
    )


def test_one_training_is_judged_by_the_spread_that_trainings_are_known_to_have():
    known = {"n_pairs": 0, "spread": "2.7 % as in 1 run of this store"}
    assert assay_of(compared(negative=NOTHING, shuffled=NOTHING, positive=BETTER, **known)).valid is True
    assert assay_of(compared(negative=BETTER, shuffled=NOTHING, positive=BETTER, **known)).valid is False


def test_a_control_that_was_not_run_says_why():
    fates = ALL | {"positive": "the recipe names no dataset.truth"}
    assay = assay_of(compared(fates, negative=NOTHING, shuffled=NOTHING))
    assert assay.valid is None
    assert assay.sentence == "Assay not judged: positive control not run: the recipe names no dataset.truth."
    assert assay.rows[2].passed is None


def test_longer_captions_that_change_something_are_named():
    assay = assay_of(compared(negative=NOTHING, shuffled=BETTER, positive=BETTER))
    assert assay.valid is True
    assert assay.sentence.endswith("longer captions alone are better, so compare with control-shuffled.")


def test_without_controls_there_is_no_assay_and_without_numbers_no_verdict():
    assert assay_of(compared({})) is None
    empty = compared({"negative": "run"})
    assert assay_of(empty).sentence == "Assay not judged: negative control no number yet."


def test_the_headline_is_the_matched_kernel_distance():
    matched = compared(negative=NOTHING, shuffled=NOTHING, positive=BETTER)
    heldout = compared(negative=BETTER, shuffled=NOTHING, positive=NOTHING, reference="heldout")
    both = Comparison(**vars(matched) | {"metrics": [*heldout.metrics, *matched.metrics]})
    assert assay_of(both).valid is True
    assert assay_of(heldout).valid is False
