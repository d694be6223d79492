"""Rows of adherence: by slide, and finding by finding."""

import numpy as np
import pytest

from mep.artifacts import Assignment
from mep.artifacts.findings import Findings
from mep.artifacts.score_row import ScoreProtocol
from mep.evaluation.adherence import AdherenceRows
from mep.evaluation.evaluate import EvaluationSettings
from mep.evaluation.finding_adherence import FindingRows
from mep.methods.scores.adherence import Adherence, FindingAdherence

SETTINGS, PROTOCOL = EvaluationSettings(0, 40), ScoreProtocol()


def judged(right, slides):
    """Real images of two labels in turn, judged right or not, of these slides; and two samples that are right."""
    wanted = np.arange(len(right)) % 2
    nothing = np.full(len(right), -1)
    held_out = np.column_stack([nothing, nothing, wanted, np.where(right, wanted, 1 - wanted)])
    samples = np.array([[-1, -1, 0, 0], [-1, -1, 1, 1]])
    parts = {"heldout": held_out, "samples": samples}
    return Assignment({}, parts, 0, ["a", "b"], {}, slides=list(slides))


def rows_of(assignment):
    told = AdherenceRows(Adherence(kind="adherence"), assignment, SETTINGS, PROTOCOL, ())
    rows = [scored.row for scored in told.rows({})]
    return {(row.subject, row.group): row for row in rows if row.metric == "label_adherence"}


def test_how_well_samples_are_judged_is_told_for_every_slide_that_has_images_enough():
    rows = rows_of(judged([True] * 16 + [True, True, False, False] * 4 + [False] * 8, "a" * 16 + "b" * 16 + "c" * 8))
    assert [group for _, group in rows] == ["all", "all", "slide=0", "slide=1"]
    values = {group: row.estimate.value for (subject, group), row in rows.items() if subject == "heldout"}
    assert values == {"all": 24 / 40, "slide=0": 1.0, "slide=1": 0.5}
    assert rows["heldout", "slide=1"].counts.n_fake == 16


def test_how_well_samples_are_judged_is_as_certain_as_slides_are_alike():
    right = np.repeat([True, False], 48)
    whole, mixed = (np.repeat(np.arange(12), 8).astype(str), np.tile(np.arange(12), 8).astype(str))
    apart, alike, single = (rows_of(judged(right, slides))["heldout", "all"] for slides in (whole, mixed, ""))
    # six slides right and six wrong: the share of twelve, sqrt(1/4 / 12) = 0.14; of 96 images sqrt(1/4 / 96) = 0.05
    assert apart.estimate.se == pytest.approx(0.14, abs=0.04)
    assert single.estimate.se == pytest.approx(0.05, abs=0.015)
    assert alike.estimate.se is None
    assert alike.flags == ["no_spread"]
    assert (apart.counts.n_groups, single.counts.n_groups) == (12, None)
    assert apart.estimate.method.endswith("of whole slides or patients")


FINDINGS = Findings(
    ["effusion", "mass", "nodule"],
    {"effusion": ["effusion"], "effusion and mass": ["effusion", "mass"], "no finding": []},
)


def shown(effusion, mass):
    """Four images: two with an effusion, one of which with a mass as well, and two without; none may be right whole."""
    wanted = np.array([0, 1, 2, 2])
    part = np.column_stack([np.full(4, -1), np.full(4, -1), wanted, 2 - wanted])
    probable = {
        name: {subject: np.array(values) for subject in ("samples", "heldout")}
        for name, values in (("effusion", effusion), ("mass", mass))
    }
    return Assignment({}, {"samples": part, "heldout": part.copy()}, 0, list(FINDINGS.of_label), {}, findings=probable)


def finding_rows(assignment, findings=FINDINGS, each=True):
    told = FindingRows(assignment, findings, EvaluationSettings(0, 0), PROTOCOL, ())
    return {(row.subject, row.metric, row.group): row for row in (one.row for one in told.rows(each=each))}


def test_every_finding_is_judged_by_itself_whatever_else_an_image_shows():
    rows = finding_rows(shown([0.9, 0.2, 0.4, 0.1], [0.1, 0.8, 0.7, 0.2]))
    value = {key: row.estimate.value for key, row in rows.items()}
    # of two that asked for an effusion one shows it; it is surer in 0.9 than in both others and in 0.2 than in one
    assert value["samples", "finding_adherence", "label=effusion"] == 0.5
    assert value["samples", "finding_auroc", "label=effusion"] == 0.75
    assert value["samples", "finding_adherence", "label=mass"] == value["heldout", "finding_auroc", "label=mass"] == 1
    assert value["samples", "finding_adherence", "all"] == 0.75
    assert value["samples", "finding_auroc", "all"] == 0.875
    effusion = rows["samples", "finding_adherence", "label=effusion"]
    assert (effusion.null.value, effusion.counts.n_fake) == (0.25, 2)  # one of four images shows it
    assert rows["samples", "finding_auroc", "all"].null.value == 0.5
    assert {group for _, _, group in finding_rows(shown([0.9] * 4, [0.1] * 4), each=False)} == {"all"}


def test_a_finding_that_cannot_be_judged_says_why_and_one_label_an_image_has_no_rows():
    every = shown([0.9] * 4, [0.1] * 4)
    every.parts["samples"][:, 2] = 0
    every.parts["heldout"][:, 2] = 2
    rows = finding_rows(every)
    assert ("samples", "finding_adherence", "label=mass") not in rows  # no caption asks for it
    assert rows["samples", "finding_adherence", "label=effusion"].estimate.value == 1
    assert rows["samples", "finding_auroc", "label=effusion"].reason == "all captions ask for effusion"
    assert rows["heldout", "finding_adherence", "label=effusion"].reason == "no image shows effusion"
    assert finding_rows(judged([True] * 4, ""), Findings()) == {}


def test_arms_that_were_asked_for_other_findings_do_not_compare():
    one, other = (FindingAdherence(findings=names).dump() for names in (("a",), ("a", "b")))
    assert one != other
