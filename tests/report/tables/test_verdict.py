"""The sentences above the table."""

import numpy as np
from drawn_run import N_HALVES, Drawn, base_halves, better_halves
from shown_report import comparison, page_of

from mep.report import (
    as_markdown,
    verdict,
)


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
