"""What attacks came to is told with its interval, and never as more than it shows."""

from types import SimpleNamespace

import pytest
from drawn_run import attack

from mep.artifacts.score_row import ScoreRow
from mep.report.data.privacy import allowing, answer, tried, worst

FOUND = {"area": (0.93, 0.90, 0.95), "unseen": 0.55, "excess": (0.38, 0.30, 0.45)}
UNSURE = {"area": (0.70, 0.65, 0.75), "unseen": None}
CHANCE = {"area": (0.51, 0.46, 0.56), "unseen": 0.5, "excess": (0.01, -0.05, 0.07)}


def arm(label, *rows, name=None):
    scores = {("samples", ("", row.metric, "all", "train")): SimpleNamespace(as_json=row.to_json) for row in rows}
    return SimpleNamespace(label=label, name=name or label, scores=scores, used={"privacy": f"privacy/{label}"})


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        (attack(), "not found"),  # above chance, but no more than in images that the model has not seen
        (attack(**CHANCE), "not found"),
        (attack(**FOUND), "found"),
        (attack(**UNSURE), "unsure"),
        ([ScoreRow("membership_loss", "samples", reason="there is no model")], "not tried"),
    ],
)
def test_found_is_what_goes_beyond_chance_and_beyond_unseen_images(rows, outcome):
    (one,) = tried(rows)
    assert one.outcome == outcome


def test_one_attack_that_finds_is_enough_and_speaks_for_the_generator():
    rows = [*attack(), *attack("membership_nearest", **FOUND)]
    assert [one.outcome for one in tried(rows)] == ["not found", "found"]
    assert worst(tried(rows)).name == "by the nearest synthetic image"


def test_the_answer_names_the_arms_and_does_not_call_a_failed_attack_a_proof():
    assert answer([arm("plain", *attack()), arm("mep", *attack(**FOUND))]) == (
        "Training images can be found in mep, by the model's loss (AUROC 0.93, 95 % interval 0.90 to 0.95; of images "
        "that it has not seen 0.55)."
    )
    calm = answer([arm("plain", *attack(**CHANCE)), arm("mep", *attack())])
    assert calm.startswith("No attack that was tried finds training images in plain and mep (most in mep: AUROC 0.61,")
    assert calm.endswith("That is no proof: stronger attacks exist.")
    assert "dataset.validation" in answer([arm("mep", *attack(**UNSURE))])
    assert answer([arm("mep")]) == ""


def test_controls_and_repeats_do_not_answer():
    assert answer([arm("control-negative", *attack(**FOUND)), arm("mep#2", *attack(**FOUND))]) == ""


def test_what_one_of_many_attacks_finds_has_to_hold_beside_the_others():
    # Šidák: the 95 % interval of one of six is that of 0.95 ** (1/6) = 0.9915, whose ends are 2.631 errors away
    scarce = attack(area=(0.60, 0.52, 0.68), unseen=0.5, excess=(0.1, 0.0196, 0.1804))
    assert [allowing(tried(scarce), n)[0].outcome for n in (1, 2, 6)] == ["found", "found", "not found"]
    both = [*scarce, *attack("membership_nearest", **CHANCE)]
    assert answer([arm("mep", *both)]).startswith("Training images can be found in mep")
    crowd = [arm(name, *both) for name in ("mep", "plain", "third")]
    assert answer(crowd).startswith("No attack that was tried finds")
    shared = [SimpleNamespace(**vars(one) | {"used": {"privacy": "privacy/one"}}) for one in crowd]
    assert answer(shared).startswith("Training images can be found in mep, plain and third")
