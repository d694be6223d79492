"""Whether arms differ in what the recipe varies and in nothing else."""

from dataclasses import replace

import pytest
from drawn_run import Drawn, finished

from mep.artifacts import TrainingSet
from mep.report.data.arms import read_arms
from mep.report.data.controlled import Exposure, controlled, verdict_on
from mep.report.tables.compare import comparison

SEEN = Exposure(
    images=frozenset(f"{n}.png" for n in range(1180)),
    labels={"stained": 0.5, "unstained": 0.5},
    clusters={"0": 0.25, "1": 0.75},
    steps=750,
    batch=16,
    n_prompts=2,
    made_labels={"stained": 0.5, "unstained": 0.5},
    made_clusters={},
)
RICHER = replace(SEEN, n_prompts=8, made_clusters={"0": 0.5, "1": 0.5})
TEMPLATE = {"prompts.template": {"label-only": "{label}", "mep": "{label} {cluster}"}}


def told(one=SEEN, other=RICHER, **fields):
    return verdict_on({"label-only": one, "mep": other}, TEMPLATE | fields)


def test_arms_that_saw_the_same_images_as_long_are_controlled():
    found = told()
    assert found.holds
    assert found.sentence == "Controlled: both arms saw the same 1,180 images for 750 steps."
    rows = {check.what: check for check in found.checks}
    # 750 steps of 16 images over 2 or 8 prompts; the template of the recipe makes that difference
    assert rows["images seen per prompt"].values == {"label-only": "6,000", "mep": "1,500"}
    assert rows["images seen per prompt"].is_varied
    assert rows["clusters that captions of generated images name"].values["label-only"] == "none named"


def test_other_training_images_are_not_what_a_template_varies():
    other = replace(RICHER, images=frozenset(f"{n}.png" for n in range(30, 1230)))
    found = told(other=other)
    assert not found.holds
    assert found.sentence == (
        "Not controlled: beside what the recipe varies, the arms differ in training images (1,180 and 1,200, of which "
        "1,150 in common)."
    )
    assert told(other=other, **{"balancing.method.kind": {"mep": "none"}}).holds  # here the arm asks for them


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("labels", {"stained": 0.45, "unstained": 0.55}, "labels of the training images (stained 50 %"),
        ("made_labels", {"stained": 0.45, "unstained": 0.55}, "labels of the generated images"),
        ("steps", 600, "training steps (750 and 600)"),
        ("batch", 8, "images per step (16 and 8)"),
    ],
)
def test_everything_else_that_differs_is_named(field, value, words):
    # the generated labels may follow from the captions, so that nothing of the recipe differs here
    found = verdict_on({"a": SEEN, "b": replace(SEEN, **{field: value})}, {})
    assert words in found.sentence


def test_what_the_recipe_sets_is_told_as_such():
    found = told(other=replace(RICHER, steps=600), **{"training.steps": {"label-only": 750, "mep": 600}})
    assert found.holds
    assert (
        "differ in training steps and images seen per prompt, as the recipe says, and in nothing else" in found.sentence
    )


def test_a_report_reads_it_from_the_artifacts_and_notes_it(tmp_path):
    drawn = Drawn(tmp_path)
    report = finished(drawn)
    found = controlled(report.store, report.arms)
    assert found.sentence == "Controlled: both arms saw the same 7 images for 10 steps."
    assert comparison(report.store, [report.runs[0].run_id]).notes[0] == found.sentence
    assert controlled(report.store, report.arms[:1]) is None


def test_repeats_of_an_arm_change_nothing(tmp_path):
    drawn = Drawn(tmp_path)
    report = finished(drawn)
    drawn.add_arms(["label-only#2", "mep#2"])
    with report.store.db.write() as db:
        db.execute("INSERT INTO parameters SELECT run_id, arm || '#2', field, value, origin FROM parameters")
    found = controlled(report.store, read_arms(report.store, [report.runs[0].run_id]))
    assert list(found.checks[0].values) == ["label-only", "mep"]
    assert found.sentence == "Controlled: both arms saw the same 7 images for 10 steps."


def test_images_that_cannot_be_read_leave_an_arm_out(tmp_path):
    drawn = Drawn(tmp_path)
    report = finished(drawn)
    artifact_id = report.arms[0].id_of(TrainingSet)
    (report.store.folder(artifact_id) / "training_set.parquet").unlink()
    assert controlled(report.store, report.arms) is None
