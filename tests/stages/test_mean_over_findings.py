"""The mean of what probes of several findings say, and what it leaves out."""

import numpy as np
import pytest

from mep.artifacts.score_row import Counts, ProbeProtocol, ScoreRow
from mep.stages.utility.probing import HeldOut, Predictions, measure
from mep.stages.utility.rows import Outcome, Rows, mean_outcome
from mep.stages.utility.tasks import ALONE, Task

STRATA = np.arange(60) % 3


def outcome(finding, labels, names=("samples/all", "train/all"), groups=None):
    """A probe that gives images with the finding higher numbers, but not always."""
    rng = np.random.default_rng(len(finding))
    heldout = HeldOut(labels, np.arange(60) if groups is None else groups, STRATA)
    predictions = {}
    for name in names:
        score = np.clip(0.3 * labels + rng.random(60) * 0.7, 0, 1)
        predictions[name] = Predictions(np.stack([1 - score, score], 1)[None], np.full((1, 2), 0.5), 40, 20, [{"C": 1}])
    refusals = {"samples/all": "none is labelled so"} if "samples/all" not in names else {}
    task = Task(finding, labels, [f"no {finding}", finding])
    return Outcome(task, heldout, predictions, refusals, measure(predictions, heldout, 200, 0))


def test_the_mean_is_over_findings_and_its_interval_over_images():
    parts = [outcome("mass", (np.arange(60) % 2 == 0).astype(int)), outcome("effusion", (STRATA == 0).astype(int))]
    mean = mean_outcome(parts, [], [ALONE])
    found = mean.estimates["samples/all"]["auroc"]
    values = [part.estimates["samples/all"]["auroc"].value for part in parts]
    assert found.value == pytest.approx(np.mean(values))
    resampled = np.mean([part.estimates["samples/all"]["auroc"].resampled for part in parts], axis=0)
    assert (found.low, found.high) == pytest.approx(np.quantile(resampled, [0.025, 0.975]))
    assert found.method == "bootstrap, percentiles"
    assert mean.predictions["samples/all"].chosen == [{"mass": {"C": 1}, "effusion": {"C": 1}}]
    rows = Rows(ScoreRow("", "", counts=Counts(60, 0), probe=ProbeProtocol(None, [])), 200, 0.05)
    rows.add_group(ALONE, mean)
    gap = next(row for row in rows.rows if row.metric == "auroc_gap")
    assert gap.estimate.method == "paired bootstrap, percentiles"
    assert gap.probe.labels == ["mass", "effusion"]


def test_a_finding_that_cannot_be_measured_is_left_out_of_both_sides():
    whole = outcome("mass", (np.arange(60) % 2 == 0).astype(int))
    part = outcome("effusion", (STRATA == 0).astype(int), names=("train/all",))
    mean = mean_outcome([whole, part], ["hernia"], [ALONE])
    assert mean.left_out[ALONE] == ["hernia", "effusion"]
    assert mean.estimates["train/all"]["auroc"].value == whole.estimates["train/all"]["auroc"].value
    rows = Rows(ScoreRow("", "", counts=Counts(60, 0), probe=ProbeProtocol(None, [])), 200, 0.05)
    rows.add_group(ALONE, mean)
    assert all("groups_left_out" in row.flags for row in rows.rows)
    assert rows.rows[0].reason == "without 2 findings that have too few images: hernia, effusion"
    rows.add_group(ALONE, part)
    gap = next(row for row in rows.rows if row.group == "label=effusion" and row.subject == "samples")
    assert (gap.estimate.value, gap.reason) == (None, "none is labelled so")
