import numpy as np
import pytest
from PIL import Image

from mep.errors import DataError
from mep.sources.imagefolder import ImageFolder
from mep.stage import Work
from mep.stages.dataset import DatasetConfig, HoldoutConfig, dataset


def build(folder, tmp_path, **settings):
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=folder), **settings)
    return dataset.function(config, work=Work(folder=tmp_path / "work", seed=3))


def test_the_held_out_part_has_the_asked_share_of_every_label(imagefolder, tmp_path):
    images = build(imagefolder, tmp_path, label="label", holdout=HoldoutConfig(fraction=0.25))
    assert images.label_names == ["cancer", "healthy"]
    for label in (0, 1):
        assert images.heldout[images.labels == label].sum() == 5  # a quarter of 20
    assert set(images.train.ids).isdisjoint(images.held_out.ids)


def test_the_images_of_a_slide_stay_on_one_side(imagefolder, tmp_path):
    images = build(imagefolder, tmp_path, label="label", group="slide", holdout=HoldoutConfig(fraction=0.3))
    sides = {}
    for slide, held in zip(images.metadata["slide"], images.heldout.tolist(), strict=True):
        sides.setdefault(slide, set()).add(held)
    assert all(len(side) == 1 for side in sides.values())
    assert images.heldout.sum() == 12
    assert np.array_equal(images.held_out.groups, np.repeat([0, 1, 2], 4))  # ten slides of four, three of them here


def test_the_same_seed_holds_out_the_same_images(imagefolder, tmp_path):
    first, second = (build(imagefolder, tmp_path, label="label").heldout for _ in range(2))
    assert np.array_equal(first, second)


def test_given_splits_are_kept(pcam, tmp_path):
    images = build(pcam, tmp_path, label="label", holdout=HoldoutConfig(splits=("test", "validation")))
    assert (len(images.train), len(images.held_out)) == (100, 70)
    assert all(image_id.startswith("train/") for image_id in images.train.ids)


def test_a_dataset_without_labels_has_none(cxr, tmp_path):
    images = build(cxr, tmp_path)
    assert len(images) == 50
    assert np.array_equal(images.groups, np.arange(50))  # every image is a group of its own
    assert images.label_names == []
    assert images.label_of(0) is None


def test_a_file_that_does_not_decode_is_named(imagefolder, tmp_path):
    (imagefolder / "07.png").write_bytes((imagefolder / "07.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"07\.png does not decode"):
        build(imagefolder, tmp_path, label="label")


@pytest.mark.parametrize(
    ("settings", "message", "field"),
    [
        ({"label": "diagnosis"}, "no column 'diagnosis'", "dataset.label"),
        ({"group": "patient"}, "no column 'patient'", "dataset.group"),
        ({"holdout": {"splits": ["test"]}}, "no split 'test'", "dataset.holdout.splits"),
        ({"validation": {"splits": ["val"]}}, "no split 'val'", "dataset.validation.splits"),
        ({"validation": {"fraction": 0.001}}, "leaves no validation image", "dataset.validation"),
        ({"holdout": {"fraction": 0.001}}, "leaves no held-out image", "dataset.holdout"),
    ],
)
def test_a_wrong_setting_is_told_with_its_field(imagefolder, tmp_path, settings, message, field):
    with pytest.raises(DataError, match=message) as caught:
        build(imagefolder, tmp_path, **settings)
    assert caught.value.field == field


def test_validation_is_drawn_from_what_is_not_held_out_and_moves_no_held_out_image(imagefolder, tmp_path):
    plain = build(imagefolder, tmp_path, label="label", group="slide", holdout={"fraction": 0.2})
    images = build(
        imagefolder, tmp_path, label="label", group="slide", holdout={"fraction": 0.2}, validation={"fraction": 0.25}
    )
    assert np.array_equal(plain.heldout, images.heldout)
    assert (len(images.train), len(images.validation), len(images.held_out)) == (24, 8, 8)
    sides = {(slide, split) for slide, split in zip(images.metadata["slide"], images.splits.tolist(), strict=True)}
    assert len(sides) == 10  # each of the ten slides lies on one side


def test_splits_of_the_source_may_be_validation(pcam, tmp_path):
    images = build(pcam, tmp_path, holdout={"splits": ["test"]}, validation={"splits": ["validation"]})
    assert (len(images.train), len(images.validation), len(images.held_out)) == (100, 20, 50)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images_are_refused(tmp_path, n):
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(n):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.png")
    with pytest.raises(DataError, match="no image" if n == 0 else "one image only"):
        build(folder, tmp_path)


def test_an_image_without_a_label_is_named(imagefolder, tmp_path):
    Image.new("RGB", (8, 8)).save(imagefolder / "extra.png")
    with pytest.raises(DataError, match=r"extra\.png has no label"):
        build(imagefolder, tmp_path, label="label")
