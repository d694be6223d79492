"""The sentences above the table."""

import numpy as np
import pytest
from drawn_run import N_HALVES, Drawn, base_halves, better_halves, scores
from shown_report import comparison, page_of

from mep.report import as_markdown, verdict


def test_the_verdict_names_the_better_arm_its_interval_and_what_it_could_have_seen(report):
    told = verdict(comparison(report))
    assert told[0] == (
        "mep is better than label-only by the kernel distance to held-out images: 31.2 against 44.0 (×10³) (difference "
        "−12.8, 95 % interval −14.8 to −10.8)."
    )
    # (1.960 + 0.842) * sqrt(40 / 39) of 44.0
    assert told[1] == (
        "The smallest difference that this run could have seen is 2.8 (6 %); with one training an arm it speaks of "
        "these images, not yet of the methods."
    )
    assert "The 2 other numbers: 1 clearly for mep and 1 clearly for label-only." in comparison(report).notes


def test_the_verdict_does_not_decide_what_the_interval_leaves_open(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only", value=44.0)
    wide = base_halves() + 8 * np.where(np.arange(N_HALVES) % 2, 1.0, -1.0)
    drawn.own_stages("mep", value=40.0, halves=wide)
    told = verdict(comparison(drawn.end()))
    assert told[0].startswith("mep and label-only cannot be told apart by the kernel distance to held-out images")
    assert told[0].endswith("(difference −4.0, 95 % interval −19.9 to +11.9).")  # −4 ± 1.96 · 8 √(40/39)


def test_a_worse_arm_is_told_as_worse(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only", value=31.2, halves=better_halves())
    drawn.own_stages("mep", value=44.0)
    assert verdict(comparison(drawn.end()))[0].startswith(
        "mep is worse than label-only by the kernel distance to held-out images: 44.0 against 31.2 (×10³) (difference "
        "+12.8,"
    )


def test_a_single_arm_is_held_against_real_images_and_the_floor(tmp_path):
    drawn = Drawn(tmp_path, arms=["mep"])
    drawn.shared_stages(["mep"])
    drawn.own_stages("mep", value=31.2)
    report = drawn.end()
    assert verdict(comparison(report)) == ["mep has a kernel distance to held-out images (×10³) of 31.2."]
    told = "For scale, kid: real training images reach 11.5 and the autoencoder floor is 20.2."
    assert comparison(report).notes[0] == told
    assert "<strong" not in page_of(report, tmp_path)
    assert "**31.2" not in as_markdown(comparison(report))


@pytest.mark.parametrize("n_arms", [2, 3, 7])
def test_the_verdict_has_three_sentences_at_most(tmp_path, n_arms):
    arms = ["label-only", *(f"arm{number}" for number in range(1, n_arms))]
    drawn = Drawn(tmp_path, arms=arms)
    drawn.shared_stages(arms)
    for number, arm in enumerate(arms):
        drawn.publish(scores(44.0 - number, base_halves() + np.arange(N_HALVES) % (number + 2)), [arm])
    told = " ".join(verdict(comparison(drawn.end())))
    assert 1 <= len(told.split(". ")) <= 3


def test_controls_are_never_the_arm_that_is_held_against_the_baseline(drawn):
    drawn.shared_stages()
    drawn.own_stages("label-only")
    drawn.own_stages("mep", value=43.0, halves=base_halves() - np.arange(N_HALVES) % 2)
    report = drawn.end()
    drawn.add_arms(["control-positive"])
    drawn.publish(scores(11.0, better_halves()), ["control-positive"])
    assert verdict(comparison(report))[0].startswith("mep ")
