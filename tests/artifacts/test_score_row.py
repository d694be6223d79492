"""A score in its three forms: an object, a row of scores.json and a row of the table `scores`."""

import json
from dataclasses import replace

from mep.artifacts.score_row import (
    COLUMNS,
    SQL_COLUMNS,
    Counts,
    DifferenceTest,
    Estimate,
    Matching,
    NonInferiority,
    Null,
    ProbeProtocol,
    ProbeTraining,
    ScoreProtocol,
    ScoreRow,
)

ROW = ScoreRow(
    metric="fd",
    subject="samples",
    estimate=Estimate(7.5, 0.5, 6.5, 8.5, "delete-half jackknife, 40 halves"),
    null=Null(None, "too few real images"),
    better="lower",
    counts=Counts(256, 256, 649, 300),
    protocol=ScoreProtocol("random_conv", "ab", d=64, image_format={"real": "png", "fake": "png"}, seed=0),
    flags=["few_groups"],
)
MATCHED = replace(ROW, reference="matched", matching=Matching(["label"], "ab", 0.05))
UTILITY = ScoreRow(
    metric="auroc_gap",
    subject="samples",
    probe=ProbeProtocol(None, ["healthy", "ill"], "the dataset"),
    training=ProbeTraining(0, 3, [{"C": 0.1}]),
    test=DifferenceTest(None),
    non_inferiority=NonInferiority(0.05, "undecided", "Not shown."),
)


def test_the_columns_are_those_that_stored_runs_have_in_their_order():
    # scores.json of mep 0.2.0, and the columns of the table `scores` of its mep.db
    assert (
        *("metric", "subject", "value", "se", "low", "high", "method", "null", "null_reason", "better", "reference"),
        *("group", "n_real", "n_fake", "n_real_of", "n_fake_of", "n_groups", "extractor", "digest", "layer", "d"),
        *("preprocessing", "eval_resolution", "resize", "image_format", "dtype", "settings", "k", "kernel", "seed"),
        *("sampler", "guidance", "steps", "version", "flags", "reason"),
    ) == COLUMNS
    sql = ("metric", "subject", "value", "se", "better", "reference", "n_real", "n_fake", "extractor")
    assert sql == SQL_COLUMNS


def test_a_row_that_is_written_and_read_is_the_same():
    for row in (ROW, UTILITY, MATCHED):
        assert ScoreRow.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_only_a_row_of_a_probe_has_the_columns_of_a_probe():
    assert tuple(ROW.to_json()) == COLUMNS
    probe = ("grouped_by", "labels", "validation_from", "n_train_real", "trainings", "chosen")
    assert tuple(UTILITY.to_json()) == (*COLUMNS, *probe, "p", "margin", "verdict", "statement")


def test_a_row_of_the_database_holds_every_column_once():
    for row in (ROW, UTILITY, MATCHED):
        stored = row.to_sql()
        assert tuple(stored) == (*SQL_COLUMNS, "protocol")
        protocol = json.loads(stored["protocol"])
        assert {**protocol, **stored}.keys() - {"protocol"} == row.to_json().keys()
        assert not protocol.keys() & stored.keys()
        assert ScoreRow.from_json({**protocol, **stored}) == row


def test_a_row_of_an_older_version_loads_without_what_it_did_not_write():
    row = ScoreRow.from_json({"metric": "fd", "subject": "samples", "value": 1.5, "n_real": 2, "extractor": "pixels"})
    assert (row.estimate, row.counts.n_real, row.protocol.extractor) == (Estimate(1.5), 2, "pixels")
    assert (row.null, row.flags, row.probe) == (Null(), [], None)
