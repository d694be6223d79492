"""Probes trained on drawn synthetic images, tested on drawn real ones."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from small_data import QUICK_FEATURES, draw, draw_imagefolder

from mep.artifacts import BaseModel, Samples
from mep.artifacts.score_row import COLUMNS
from mep.errors import Interrupted
from mep.machine.work import Work
from mep.methods.probes import Examples
from mep.methods.probes.cnn import Cnn
from mep.methods.probes.knn import NearestNeighbours
from mep.methods.probes.linear import Linear
from mep.methods.probes.none import NoProbe
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig, HoldoutConfig
from mep.sections.utility import CeilingConfig, UtilityConfig
from mep.stages.ceiling import ceiling
from mep.stages.dataset.stage import dataset
from mep.stages.utility.probing import Estimate
from mep.stages.utility.rows import verdict
from mep.stages.utility.stage import utility


class Lab:
    """A dataset of 120 drawn images, and samples that may be labelled rightly, wrongly or at random."""

    def __init__(self, folder, *, label="label", group=None, n=120):
        self.folder = folder
        source = ImageFolder(kind="imagefolder", path=draw_imagefolder(folder / "images", n))
        settings = DatasetConfig(source=source, label=label, group=group, holdout=HoldoutConfig(fraction=0.4))
        self.images = dataset.function(settings, work=self.work("dataset"))
        (folder / "base").mkdir()
        (folder / "base" / "base.json").write_text('{"kind": "scratch", "resolution": 32}')

    def work(self, name):
        return Work(folder=self.folder / "work" / name, seed=5)

    def samples(self, name="samples", *, n=40, label=lambda row, rng: ("cancer", "healthy")[row % 2]):
        folder, rng = self.folder / name, np.random.default_rng(9)
        (folder / "images").mkdir(parents=True)
        lines = []
        for row in range(n):
            Image.fromarray(draw(rng, row % 2 == 0)).save(folder / "images" / f"{row}.png")
            lines.append(json.dumps({"file_name": f"images/{row}.png", "label": label(row, rng), "prompt_id": "x"}))
        (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
        return Samples(folder)

    def measure(self, samples, name="u", **settings):
        """Rows by (metric, subject, group)."""
        config = UtilityConfig(**{"resamples": 200, "repeats": 2, "extractor": QUICK_FEATURES} | settings)
        real = CeilingConfig(**{field: getattr(config, field) for field in CeilingConfig.model_fields})
        base = BaseModel(self.folder / "base")
        self.top = ceiling.function(real, self.images, base, work=self.work(f"{name}-ceiling"))
        found = utility.function(config, self.images, self.top, samples, work=self.work(name))
        self.artifact = found
        return {(row.metric, row.subject, row.group): row.to_json() for row in found.rows}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.samples()
    return made


@pytest.fixture(scope="module")
def rows(lab):
    return lab.measure(Samples(lab.folder / "samples"))


MIXED = "10 % real + all synthetic"


def test_rightly_labelled_images_teach_nearly_as_much_as_real_ones(rows):
    alone, real = rows["auroc", "samples", "all"], rows["auroc", "train", "all"]
    assert alone["value"] > 0.9
    assert real["value"] > 0.9
    assert (alone["n_fake"], alone["n_train_real"], alone["n_real"]) == (40, 0, 48)
    assert (real["n_fake"], real["n_train_real"]) == (0, 58)  # 72 training images, 14 of them kept for validation


def test_wrongly_labelled_images_are_inferior_and_the_row_says_so(lab):
    wrong = lab.measure(lab.samples("wrong", label=lambda row, rng: ("healthy", "cancer")[row % 2]), "wrong")
    assert wrong["auroc", "samples", "all"]["value"] < 0.1
    gap = wrong["auroc_gap", "samples", "all"]
    assert gap["verdict"] == "inferior"
    assert gap["high"] < -gap["margin"]
    assert gap["p"] < 0.001
    assert "They are inferior" in gap["statement"]


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.04, 0.01, "non-inferior"),
        (-0.06, 0.01, "undecided"),
        (-0.06, -0.055, "inferior"),
        (-0.04, -0.01, "non-inferior"),  # worse for certain, and by less than the margin for certain
        (0.01, 0.02, "superior"),
        (None, None, "undecided"),
    ],
)
def test_non_inferiority_is_read_off_the_interval(low, high, told):
    assert verdict(Estimate(0.0, 0.01, low, high, "", np.zeros(1)), margin=0.05) == told


def test_synthetic_images_are_tested_beside_as_many_real_ones(rows):
    sizes = {
        subject: (rows["auroc", subject, MIXED]["n_train_real"], rows["auroc", subject, MIXED]["n_fake"])
        for subject in ("samples", "train", "matched")
    }
    assert sizes == {"samples": (6, 40), "train": (6, 0), "matched": (46, 0)}
    assert rows["auroc", "matched", "all"]["n_train_real"] == 40  # fewer real images, as many as there are synthetic
    gain = rows["auroc_gain", "samples", MIXED]["value"]
    assert gain == pytest.approx(rows["auroc", "samples", MIXED]["value"] - rows["auroc", "matched", MIXED]["value"])


def test_every_row_has_its_protocol_and_every_interval_holds_its_value(lab, rows):
    for row in rows.values():
        assert row.keys() >= {*COLUMNS, "n_train_real", "trainings", "chosen", "labels", "validation_from"}
        told = ("value", "method", "digest", "d", "eval_resolution", "resize", "preprocessing", "settings", "version")
        assert all(row[name] is not None for name in told)
        assert row["null"] is not None or row["null_reason"]
        assert row["extractor"] == "linear probe on normalised random_conv"
        if row["low"] is not None:
            assert row["low"] <= row["value"] + 1e-9
            assert row["high"] >= row["value"] - 1e-9
    assert lab.artifact.halves.shape == (len(lab.artifact.rows), 200)


def test_the_same_again_gives_the_same_rows(lab, rows):
    again = lab.measure(Samples(lab.folder / "samples"), "again")
    assert again == rows


def test_ratios_that_need_more_images_than_there_are_leave_an_honest_gap(lab, rows):
    found = lab.measure(Samples(lab.folder / "samples"), "ratios", ratios=(0.5, 2), fractions=(1,))
    row = found["auroc", "samples", "100 % real + 2 synthetic to each"]
    assert row["value"] is None
    assert row["reason"] == "116 labelled synthetic images are needed, there are 40"
    assert found["auroc", "samples", "100 % real + 0.5 synthetic to each"]["n_fake"] == 29


def test_a_dataset_without_labels_is_skipped_with_a_reason(tmp_path):
    lab = Lab(tmp_path, label=None, n=20)
    (row,) = lab.measure(lab.samples(n=4)).values()
    assert row["value"] is None
    assert row["flags"] == ["no_utility"]
    assert row["reason"] == "the dataset has no labels, so that nothing can be learned from its images"


def test_samples_whose_captions_name_no_label_teach_nothing(lab):
    found = lab.measure(lab.samples("unlabelled", label=lambda row, rng: None), "unlabelled")
    assert found["auroc", "samples", "all"]["reason"].startswith("no generated image carries a label")
    assert found["auroc", "train", "all"]["value"] > 0.9


def test_an_arm_without_any_image_leaves_a_gap(lab):
    found = lab.measure(lab.samples("empty", n=0), "empty")
    assert found["auroc", "samples", "all"]["reason"].startswith("no generated image carries a label")


def test_samples_of_one_label_only_are_refused_by_its_name(lab):
    found = lab.measure(lab.samples("cancer", label=lambda row, rng: "cancer"), "cancer")
    why = "among 40 synthetic images none is labelled 'healthy'"
    assert found["auroc", "samples", "all"]["reason"] == why
    assert found["auroc", "samples", MIXED]["value"] is not None


def test_a_share_too_small_for_every_label_is_a_gap_in_its_own_rows_only(lab):
    found = lab.measure(Samples(lab.folder / "samples"), "share", fractions=(0.02, 1))  # one of 58 images
    group = "2 % real + all synthetic"
    assert found["auroc", "train", group]["reason"] == "a draw of 1 real images holds none of some label"
    assert found["auroc", "matched", group]["value"] is None
    assert found["auroc", "samples", group]["value"] > 0.9
    assert found["auroc", "train", "all"]["value"] > 0.9


def test_a_label_too_rare_to_test_on_is_named(tmp_path):
    lab = Lab(tmp_path, n=12)
    few = lab.images.take(np.flatnonzero(~lab.images.heldout | (lab.images.labels == 0)))
    lab.images = few
    (row,) = lab.measure(lab.samples(n=4)).values()
    assert row["reason"] == "there is no held-out image labelled 'healthy', 2 are needed"


def test_images_of_one_slide_stay_together_in_validation_and_resamples(tmp_path):
    lab = Lab(tmp_path, group="slide")
    found = lab.measure(lab.samples())
    trained = set(lab.images.groups[lab.top.order[0]].tolist())
    assert trained.isdisjoint(lab.images.groups[lab.top.validation].tolist())
    row = found["balanced_accuracy", "samples", "all"]
    assert (row["n_groups"], row["grouped_by"]) == (12, "slide")


def test_no_probe_costs_and_says_nothing(lab):
    assert lab.measure(Samples(lab.folder / "samples"), "none", probe=NoProbe(kind="none")) == {}
    assert lab.artifact.halves.shape == (0, 200)


@pytest.mark.parametrize("probe", [Linear(kind="linear"), NearestNeighbours(kind="knn")], ids=lambda one: one.kind)
def test_probes_that_were_killed_go_on_where_they_were(lab, rows, probe):
    samples = Samples(lab.folder / "samples")
    whole = lab.measure(samples, f"{probe.kind}-whole", probe=probe)
    kept = sorted((lab.folder / "work" / f"{probe.kind}-whole" / "predictions").iterdir())
    for path in kept[::2]:
        path.unlink()
    assert lab.measure(samples, f"{probe.kind}-whole", probe=probe) == whole


def shape_or_noise(rows):
    """Twenty flat and twenty striped pictures, in turn."""
    rng = np.random.default_rng(int(rows[0]))
    pixels = np.full((len(rows), 16, 16, 3), 120) + rng.integers(-20, 20, (len(rows), 16, 16, 3))
    pixels[rows % 2 == 1, ::2] += 60
    return pixels.astype(np.uint8)


def examples(n, first=0, n_classes=2):
    rows = np.arange(first, first + n)
    return Examples(shape_or_noise, rows, rows % n_classes)


def tiny_cnn(**settings):
    return Cnn(
        **{"kind": "cnn", "steps": 12, "batch_size": 8, "learning_rate": 3e-3, "symmetries": "square"} | settings
    )


def test_a_network_from_scratch_learns_pixels_and_repeats_itself(tmp_path):
    work = Work(folder=tmp_path)
    fitted = tiny_cnn().fit(examples(24), examples(12, 100), 2, seed=1, work=work)
    found = fitted.predict(examples(20, 200))
    assert roc_auc_score(examples(20, 200).labels, found[:, 1]) > 0.95
    assert fitted.chosen["validation_auroc"] > 0.95
    again = tiny_cnn().fit(examples(24), examples(12, 100), 2, seed=1, work=Work(folder=tmp_path / "again"))
    assert np.array_equal(again.predict(examples(20, 200)), found)
    other = tiny_cnn().fit(examples(24), examples(12, 100), 2, seed=2, work=Work(folder=tmp_path / "other"))
    assert not np.array_equal(other.predict(examples(20, 200)), found)


def test_a_network_that_was_stopped_ends_like_one_that_was_not(tmp_path):
    whole = tiny_cnn().fit(examples(24), examples(12, 100), 2, seed=1, work=Work(folder=tmp_path / "whole"))
    asked = iter([None] * 5)
    stopped = Work(folder=tmp_path / "stopped", stop_signal=lambda: next(asked, 15))
    with pytest.raises(Interrupted):
        tiny_cnn().fit(examples(24), examples(12, 100), 2, seed=1, work=stopped)
    resumed = tiny_cnn().fit(examples(24), examples(12, 100), 2, seed=1, work=Work(folder=tmp_path / "stopped"))
    assert np.array_equal(resumed.predict(examples(9)), whole.predict(examples(9)))


def test_a_pretrained_transformer_is_fine_tuned_at_its_own_size(tmp_path):
    from transformers import ViTConfig, ViTForImageClassification

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    ViTForImageClassification(ViTConfig(**size, image_size=24, patch_size=8)).save_pretrained(tmp_path / "vit")
    probe = tiny_cnn(model={"path": tmp_path / "vit"}, steps=2)
    fitted = probe.fit(examples(9, 0, 3), examples(9, 9, 3), 3, seed=1, work=Work(folder=tmp_path / "work"))
    assert fitted.predict(examples(5)).shape == (5, 3)  # a new last layer for three classes


def test_a_network_takes_the_place_of_the_linear_probe_in_a_run(lab):
    probe = tiny_cnn(steps=6)
    found = lab.measure(Samples(lab.folder / "samples"), "cnn", probe=probe, fractions=(1,))
    row = found["auroc", "samples", "all"]
    assert (row["extractor"], row["trainings"], row["n_fake"]) == ("cnn probe", 2, 40)
    assert found["auroc", "train", "all"]["trainings"] == 2
    assert row["value"] > 0.6
