"""A model that knows its images by heart is caught, one that has seen none is not, and no shift is taken for either."""

import json
from dataclasses import replace

import numpy as np
import pytest
from machines import machine
from PIL import Image
from small_data import QUICK_FEATURES, TINY_BASE
from training_parts import Inputs

from mep.artifacts import (
    Assignment,
    BaseModel,
    Clusters,
    Embeddings,
    HeldOutEmbeddings,
    Images,
    Model,
    Samples,
    TrainingSet,
)
from mep.machine.files import append_json_line, write_json
from mep.machine.work import Work
from mep.methods.bases.scratch import Scratch
from mep.sections.metrics import ReferencesConfig
from mep.stages.privacy.asked import HELD_OUT, MEMBER, UNSEEN, Asked
from mep.stages.privacy.attack import findings
from mep.stages.privacy.given import NO_MODEL, given_privacy
from mep.stages.privacy.stage import AttackConfig, Attacks, privacy
from mep.stages.references import references

LARGER = {
    "autoencoder": {"kind": "pca"},
    "unet": {"channels": [32, 32], "attention": [False, True], "head_channels": 8},
}
BY_HEART = {"steps": 400, "global_batch_size": 8, "learning_rate": 3e-3, "symmetries": "none", "ema_decay": 0.95}
BY_HEART |= {"schedule": "cosine", "caption_dropout": 0}
CONFIG = {"precision": "fp32", "extractors": [QUICK_FEATURES], "seed": 0, "resamples": 200}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A training set of 8 images and as many held-out ones, and a model that was shown those 8 until it knew them."""
    found = Inputs(tmp_path_factory.mktemp("inputs"))
    full = found.training_set
    found.training_set = replace(
        full, ids=full.ids[:8], labels=full.labels[:8], clusters=np.zeros(8, dtype=np.int64), weights=np.ones(8)
    )
    found.base = found.build(Scratch.model_validate(TINY_BASE | LARGER), "larger")
    found.learned, _ = found.train(tmp_path_factory.mktemp("learned"), base=found.base, **BY_HEART)
    folder = tmp_path_factory.mktemp("untrained")
    (folder / "pipeline").symlink_to(found.base.pipeline, target_is_directory=True)
    write_json(folder / Model.about, {"resolution": found.base.resolution})
    found.untrained = Model(folder)
    work = Work(folder=tmp_path_factory.mktemp("references"))
    config = ReferencesConfig.model_validate({"extractors": [QUICK_FEATURES]})
    found.references = references.function(config, found.images, found.base, work=work)
    held_out = found.images.held_out
    zeros = np.zeros((len(held_out), 4), dtype=np.int64)
    found.assignment = Assignment({"heldout": held_out.ids}, {"heldout": zeros}, 1, held_out.label_names, {})
    seen = found.images.seen.ids
    found.clusters = Clusters(seen, np.zeros(len(seen), dtype=np.int64), np.zeros(len(seen), np.float32), {})
    return found


def samples_of(folder, pictures):
    for number, pixels in enumerate(pictures):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"images/{number}.png")
        append_json_line(folder / "metadata.jsonl", {"file_name": f"images/{number}.png"})
    return Samples(folder)


def attacked(inputs, folder, *, model=None, base=None, training_set=None, pictures=None, batch_size=8, **settings):
    """Metric -> row."""
    config = AttackConfig.model_validate(CONFIG | {"attacks": ["loss" if pictures is None else "nearest"]} | settings)
    samples = samples_of(folder / "samples", pictures or [])
    found = privacy.function(
        config,
        inputs.images,
        training_set or inputs.training_set,
        inputs.clusters,
        inputs.prompts,
        base or inputs.base,
        model or inputs.learned,
        inputs.references,
        inputs.assignment,
        samples,
        None,
        None,
        work=Work(folder=folder / "work", machine=machine(batch_size=batch_size)),
    )
    assert found.halves.shape == (len(found.rows), 200)
    return {row.metric: row for row in found.rows}


def test_a_model_that_knows_8_images_by_heart_is_caught(inputs, tmp_path):
    rows = attacked(inputs, tmp_path)
    row, excess = rows["membership_loss"], rows["membership_loss_excess"].estimate
    assert excess.low > 0  # beyond what it finds in images of the same side that it was not shown
    assert row.estimate.value > 0.9
    assert row.estimate.low > 0.5
    assert (row.counts.n_real, row.counts.n_fake, row.better, row.reference) == (8, 8, "lower", "train")


def test_a_model_that_has_seen_nothing_gives_chance_within_its_interval(inputs, tmp_path):
    row = attacked(inputs, tmp_path, model=inputs.untrained)["membership_loss"]
    assert row.estimate.low < 0.5 < row.estimate.high


def test_what_a_model_is_asked_does_not_depend_on_the_batch(inputs, tmp_path):
    first, second = (attacked(inputs, tmp_path / str(size), batch_size=size)["membership_loss"] for size in (3, 16))
    assert first.estimate == second.estimate


def test_gains_over_the_base_tell_too_and_a_base_that_knows_nothing_is_not_asked(inputs, tmp_path):
    refused = attacked(inputs, tmp_path / "scratch")["membership_calibrated"]
    assert (refused.estimate.value, "trained from nothing" in refused.reason) == (None, True)
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "pipeline").symlink_to(inputs.base.pipeline, target_is_directory=True)
    about = json.loads((inputs.base.folder / BaseModel.about).read_text())
    write_json(folder / BaseModel.about, about | {"kind": "pretrained"})
    row = attacked(inputs, tmp_path / "gains", base=BaseModel(folder))["membership_calibrated"]
    assert row.estimate.low > 0.5
    write_json(folder / BaseModel.about, about | {"kind": "pretrained", "resolution": 8})
    other = attacked(inputs, tmp_path / "other", base=BaseModel(folder))["membership_calibrated"]
    assert other.reason == "the model was not trained from the recipe's base"


def pixels_of(inputs, ids):
    shown = inputs.images.select(ids)
    return [shown.read_square(row, 16) for row in range(len(shown))]


def test_samples_that_are_training_images_give_them_away_and_noise_does_not(inputs, tmp_path):
    copies = attacked(inputs, tmp_path / "copies", pictures=pixels_of(inputs, inputs.training_set.ids))
    assert copies["membership_nearest"].estimate.value == 1
    assert copies["membership_nearest"].estimate.low > 0.6
    noise = list(np.random.default_rng(0).integers(0, 255, (12, 16, 16, 3), dtype=np.uint8))
    low, high = (
        getattr(attacked(inputs, tmp_path / end, pictures=noise)["membership_nearest"].estimate, end)
        for end in ("low", "high")
    )
    assert low < 0.5 < high


def test_images_from_elsewhere_are_asked_without_a_model(inputs, tmp_path):
    config = AttackConfig.model_validate(CONFIG)
    samples = samples_of(tmp_path / "samples", pixels_of(inputs, inputs.training_set.ids))
    parts = inputs.images, inputs.training_set, inputs.clusters, inputs.references, inputs.assignment, samples
    rows = given_privacy.function(config, *parts, work=Work(folder=tmp_path)).rows
    assert rows[0].reason == NO_MODEL
    assert {row.metric: row.estimate.value for row in rows}["membership_nearest"] == 1


def test_too_few_images_and_no_attack_at_all_are_told(inputs, tmp_path):
    five = replace(inputs.training_set, weights=np.r_[np.ones(5), np.zeros(3)])
    rows = attacked(inputs, tmp_path / "few", training_set=five)
    assert rows["membership_loss"].reason.startswith("5 training images have a held-out one of their kind")
    assert attacked(inputs, tmp_path / "none", attacks=[]) == {}


# ---------------------------------------------------------------------------------------------------------------------
# Who is asked about


def dataset_of(n, *, labels, heldout, groups):
    metadata = {"slide": groups}
    digests, sizes = [""] * n, np.full((n, 2), 8)
    splits = np.asarray(heldout, dtype=np.int8)
    ids = [f"{row:03d}" for row in range(n)]
    return Images(ids, np.asarray(labels), ["a", "b"], splits, digests, sizes, metadata, None, group="slide")


def drawn(images, clusters_of, trained, most=100, captions=None):
    """Asked of a dataset whose images `trained` are trained on."""
    rows = {image_id: row for row, image_id in enumerate(images.ids)}
    labels = [images.label_of(rows[image_id]) for image_id in trained]
    training_set = TrainingSet(
        trained, labels, np.array([clusters_of[rows[one]] for one in trained]), np.ones(len(trained)), []
    )
    seen, held = images.seen.ids, images.held_out.ids
    clusters = Clusters(seen, np.array([clusters_of[rows[one]] for one in seen]), np.zeros(len(seen)), {})
    wanted = np.zeros((len(held), 4), dtype=np.int64)
    wanted[:, 0] = [clusters_of[rows[one]] for one in held]
    return Asked.draw(
        images, training_set, clusters, Assignment({"heldout": held}, {"heldout": wanted}, 2, [], {}), most, 0
    )


def test_members_and_held_out_images_are_equally_many_of_every_label_and_type():
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(2, size=300), rng.integers(2, size=300)
    images = dataset_of(300, labels=labels, heldout=np.arange(300) >= 200, groups=list(range(300)))
    asked = drawn(images, clusters, images.ids[:100])
    rows = images.rows(asked.ids)
    mixes = [
        sorted(zip(labels[rows[asked.roles == role]], clusters[rows[asked.roles == role]], strict=True))
        for role in (HELD_OUT, MEMBER)
    ]
    assert mixes[0] == mixes[1]
    assert asked.matched_by == ("label", "cluster")
    unseen = rows[asked.roles == UNSEEN]
    assert set(unseen.tolist()) <= set(range(100, 200))
    assert asked.controls.sum() == len(unseen) > 80  # a held-out one stands against each
    assert set(asked.roles[asked.controls]) == {HELD_OUT}
    assert asked.digest == drawn(images, clusters, images.ids[:100]).digest


def test_an_unseen_image_is_of_no_patient_who_was_trained_on():
    groups = [row // 10 for row in range(300)]
    images = dataset_of(300, labels=np.zeros(300, int), heldout=np.arange(300) >= 200, groups=groups)
    asked = drawn(images, np.zeros(300, int), images.ids[:105])  # five images of slide 10 are trained on
    of_role = {role: set(asked.groups[asked.roles == role].tolist()) for role in (HELD_OUT, MEMBER, UNSEEN)}
    assert not of_role[UNSEEN] & of_role[MEMBER]
    names = {images.metadata["slide"][row] for row in images.rows(asked.ids)[asked.roles == UNSEEN]}
    assert names == set(range(11, 20))


def test_captions_that_say_more_than_label_and_type_are_left_out():
    images = dataset_of(40, labels=np.arange(40) % 2, heldout=np.arange(40) >= 20, groups=list(range(40)))
    asked = drawn(images, np.zeros(40, int), images.ids[:20])
    by_label = {image_id: f"tissue {number % 2}" for number, image_id in enumerate(images.ids[:20])}
    told = asked.captions(by_label)
    assert told[:2] == [f"tissue {int(images.ids.index(one)) % 2}" for one in asked.ids[:2]]
    assert set(asked.captions({image_id: image_id for image_id in images.ids[:20]})) == {""}


@pytest.mark.parametrize(
    ("conditioning", "attacks", "reads"),
    [
        ("embedding", ["loss", "nearest"], ("embeddings", "real")),
        ("embedding", ["nearest"], ()),
        ({"kind": "embedding", "vector": "centroid"}, ["loss"], ()),
        ("class", ["loss"], ()),
        ("text", ["loss"], ()),
    ],
)
def test_a_conditioned_model_is_asked_with_what_each_image_has_trained_on_or_not(conditioning, attacks, reads):
    n = 60
    images = dataset_of(n, labels=np.arange(n) % 2, heldout=np.arange(n) >= 40, groups=list(range(n)))
    asked = drawn(images, np.arange(n) // 2 % 2, images.ids[:20])
    config = AttackConfig.model_validate(CONFIG | {"conditioning": conditioning, "attacks": attacks})
    assert config.also_reads == reads
    vectors = np.arange(n, dtype=np.float32)[:, None] * [1, 10]  # of image 007: 7 and 70
    embeddings = Embeddings(images.ids[:40], vectors[:40])
    real = HeldOutEmbeddings(images.ids[40:], {"original": vectors[40:], "heldout": -vectors[40:]})
    told = Attacks(config, images, asked, None, None).told(*((embeddings, real) if reads else (None, None)))
    assert {HELD_OUT, MEMBER, UNSEEN} == set(asked.roles)
    if reads:
        assert told.tolist() == [[int(image_id), 10 * int(image_id)] for image_id in asked.ids]
    elif config.told_of_images:
        assert told == [("ab"[int(image_id) % 2], int(image_id) // 2 % 2) for image_id in asked.ids]
    else:
        assert told is None


def test_a_model_that_is_told_captions_alone_is_asked_under_the_fingerprint_that_it_had():
    plain, told = (AttackConfig.model_validate(CONFIG | {"conditioning": kind}).dump() for kind in ("text", "class"))
    assert "conditioning" not in plain
    assert "conditioning" in told


# ---------------------------------------------------------------------------------------------------------------------
# What is found


def asked_of(n, groups=None):
    """n held-out images, n training images, n unseen ones."""
    roles = np.repeat([HELD_OUT, MEMBER, UNSEEN], n)
    ids = [str(row) for row in range(3 * n)]
    groups = np.arange(3 * n) if groups is None else groups
    return Asked(ids, roles, groups, ids, {}, (), np.arange(3 * n) < n)


def test_a_shift_between_the_sides_is_not_taken_for_memory():
    rng, asked = np.random.default_rng(0), asked_of(200)
    for of_members, is_found in ((1.0, False), (2.0, True)):
        shift = np.array([0.0, of_members, 1.0])[asked.roles]
        found = findings(rng.normal(size=600) + shift, asked, 300, 0)
        assert found[""].estimate.low > 0.5
        assert found[""].chance == pytest.approx(0.76, abs=0.05)  # Φ(1/√2), of the unseen images
        assert (found["_excess"].estimate.low > 0) == is_found


def test_the_interval_of_an_untrue_suspicion_holds_chance_as_often_as_it_says():
    # 100 attacks that know nothing: 95 intervals of 100 hold 0.5, give or take two standard errors, √(95 · 5 / 100)
    rng, asked = np.random.default_rng(0), asked_of(40)
    found = [findings(rng.normal(size=120), asked, 100, 0)[""].estimate for _ in range(100)]
    assert sum(one.low <= 0.5 <= one.high for one in found) >= 90


def test_images_of_one_patient_count_once():
    # a suspicion that is the patient's alone: 10 patients a side, not 100 images
    rng = np.random.default_rng(0)
    groups = np.arange(300) // 10
    suspicion = rng.normal(size=30)[groups]
    widths = [
        (found := findings(suspicion, asked, 300, 0)[""].estimate).high - found.low
        for asked in (asked_of(100), asked_of(100, groups))
    ]
    assert widths[1] > 2 * widths[0]


def test_a_share_of_none_is_as_uncertain_as_there_are_patients():
    # nothing is found in the 100 training images of 10 patients: 1 - 0.025^(1/10) is the exact end, and not 0.036
    suspicion = np.r_[np.ones(100), np.zeros(200)]
    apart, grouped = (findings(suspicion, asked_of(100, of), 100, 0)["_tpr10"] for of in (None, np.arange(300) // 10))
    assert (grouped.estimate.low, grouped.estimate.high) == (0.0, pytest.approx(0.3085, abs=1e-4))
    assert apart.estimate.high == pytest.approx(0.0362, abs=1e-4)


def test_a_rate_takes_images_enough_for_one_false_alarm():
    assert "_tpr1" not in findings(np.arange(120.0), asked_of(40), 100, 0)
    found = findings(np.r_[np.zeros(100), np.arange(100) >= 70, np.zeros(100)].astype(float), asked_of(100), 100, 0)
    assert found["_tpr1"].estimate.value == pytest.approx(0.3)
    assert 0.2 < found["_tpr1"].estimate.low < 0.3
