"""What may leave the house."""

import numpy as np
import yaml
from drawn_run import RUN, Drawn
from drawn_run import finished as finished_run
from shared_run import artifact_of, change

from mep.artifacts import Prompt, Samples
from mep.artifacts.base import save_arrays
from mep.machine.files import write_json
from mep.sharing.finished import finished
from mep.sharing.selection import keeps_distance, leaving_captions, select
from mep.stages.metrics import SampleSquares


def test_a_sample_nearer_than_99_of_100_held_out_images_is_left_out():
    # training images lie on a line, 10 apart; held-out ones 1, 2, ... 100 above it: the nearest hundredth is below 2
    train = np.stack([np.arange(5) * 10.0, np.zeros(5)], axis=1).astype(np.float32)
    heldout = np.stack([np.zeros(100), np.arange(1, 101)], axis=1).astype(np.float32)
    fake = np.array([[0, 0.0], [0, 1.9], [0, 2.1], [20, 50]], np.float32)
    assert keeps_distance(fake, heldout, train).tolist() == [False, False, True, True]


def test_captions_with_words_of_the_dataset_leave_only_where_enough_patients_share_them():
    plain = Prompt("a", "tissue, type one", "tissue", 1, 1)
    of_five = Prompt("b", "a man of 60 to 69", None, None, 9, {"age": "60 to 69"})
    of_four = Prompt("c", "a man of 91", None, None, 9, {"age": "91"})
    prompts, patients = [plain, of_five, of_four], [1, 5, 4]
    assert leaving_captions(prompts, patients, "common", given=False) == {
        "a": "tissue, type one",
        "b": "a man of 60 to 69",
        "c": None,
    }
    assert list(leaving_captions(prompts, patients, "common", given=True).values()) == [None, "a man of 60 to 69", None]
    assert None not in leaving_captions(prompts, patients, "all", given=True).values()
    assert set(leaving_captions(prompts, patients, "none", given=False).values()) == {None}


def test_near_copies_are_left_out_of_a_run_by_the_features_that_its_metrics_kept(tmp_path):
    drawn = Drawn(tmp_path)
    finished_run(drawn)
    extractor = finished(drawn.store, RUN, "mep").arm.experiment.metrics.extractors[0].name
    heldout, train = np.full((30, 2), 5.0, np.float32), np.eye(3, 2, dtype=np.float32)
    fake = np.array([[9, 9], [0, 1.001], [9, 9], [9, 9]], np.float32)  # the second is a training image, nearly

    def references(folder):
        save_arrays(folder / extractor, {"heldout": heldout, "train": train})
        write_json(folder / "protocol.json", {extractor: {"d": 2, "eval_resolution": 16}})

    change(drawn.store, artifact_of(drawn, "references"), references)
    order = np.random.default_rng([0, 17, 1, 4]).permutation(4)  # in which the metrics keep features
    change(
        drawn.store,
        artifact_of(drawn, "metrics"),
        lambda folder: save_arrays(folder / "features", {extractor: fake[order]}),
    )
    shared = finished(drawn.store, RUN, "mep")
    chosen = select(shared, "common", with_near=False)
    rows = chosen.folder / "metadata.jsonl"
    second = rows.read_text().splitlines()[1]
    assert (chosen.near, len(chosen.rows)) == (1, 3)
    assert all(row["file_name"] not in second for row in chosen.rows)
    assert chosen.told.startswith("1 of 4 images was left out")
    assert len(select(shared, "common", with_near=True).rows) == 4


def test_features_that_the_metrics_did_not_keep_are_made_again(tmp_path):
    drawn = Drawn(tmp_path)
    finished_run(drawn)
    lock = drawn.store.run_folder(RUN) / "recipe.lock.yaml"
    recipe = yaml.safe_load(lock.read_text())
    recipe["metrics"]["extractors"] = [{"kind": "random_conv"}]
    lock.write_text(yaml.safe_dump(recipe, sort_keys=False))
    arm = finished(drawn.store, RUN, "mep").arm
    extractor = arm.experiment.metrics.extractors[0]
    seen = extractor.load("cpu")(SampleSquares.of(arm.get(Samples), 40)([0, 1, 2, 3]))
    train = np.stack([seen[2], seen[2] + 100, seen[2] - 100])  # the third sample is a training image
    heldout = np.stack([seen[2] + 1e-4 * n for n in range(1, 31)])

    def references(folder):
        save_arrays(folder / extractor.name, {"heldout": heldout, "train": train})
        write_json(folder / "protocol.json", {extractor.name: {"d": seen.shape[1], "eval_resolution": 40}})

    change(drawn.store, artifact_of(drawn, "references"), references)
    shared = finished(drawn.store, RUN, "mep")
    chosen = select(shared, "common", with_near=False)
    third = arm.get(Samples).rows[2]["file_name"]
    assert [row["file_name"] for row in chosen.rows if row["file_name"] == third] == []
    assert len(chosen.rows) == 3
