import json
import shutil
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from mep.errors import DataError
from mep.machine.files import sha256_of
from mep.machine.work import Work
from mep.methods.sources.imagefolder import ImageFolder
from mep.methods.sources.manifest import Manifest
from mep.sections.dataset import DatasetConfig, HoldoutConfig
from mep.stages.dataset.lint import lint
from mep.stages.dataset.split import draw_groups
from mep.stages.dataset.stage import dataset


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


def test_a_split_takes_no_table_of_images_by_labels():
    labels = np.arange(40_000) % 5_000
    tracemalloc.start()
    heldout = draw_groups(labels, np.arange(40_000), 0.25, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.bincount(labels[heldout], minlength=5_000).tolist() == [2] * 5_000
    assert peak < 50e6  # the table would take 1.6 GB


def test_images_that_cannot_be_set_apart_say_so(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (32, 32), (90, 40, 60)).save(folder / f"{number}.png")
    with pytest.raises(DataError, match="all 6 images are near duplicates") as caught:
        build(folder, tmp_path)
    assert "near_duplicate_bits" in caught.value.hint


def test_an_image_without_a_slide_is_refused_and_found_by_lint(imagefolder, tmp_path):
    path = imagefolder / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["slide"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=rf"{rows[3]['file_name']} has no slide \(1 images\)"):
        build(imagefolder, tmp_path, group="slide")
    source = ImageFolder(kind="imagefolder", path=imagefolder)
    _, findings = lint(DatasetConfig(source=source, group="slide"), Work(folder=tmp_path / "lint"))
    assert ("missing_group", rows[3]["file_name"]) in [(one.check, one.image) for one in findings]


def test_lint_finds_slides_that_a_given_validation_part_tears_apart(imagefolder, tmp_path):
    (imagefolder / "validation").mkdir()
    path = imagefolder / "metadata.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    (imagefolder / rows[0]["file_name"]).rename(imagefolder / "validation" / "a.png")
    rows[0]["file_name"] = "validation/a.png"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = ImageFolder(kind="imagefolder", path=imagefolder)
    config = DatasetConfig(source=source, group="slide", validation={"splits": ["validation"]})
    _, findings = lint(config, Work(folder=tmp_path / "lint"))
    assert "straddling_group" in {one.check for one in findings}


@pytest.mark.parametrize(("encoding", "message"), [("utf-8-sig", ""), ("utf-16", "is not UTF-8 text")])
def test_tables_as_spreadsheets_write_them(tmp_path, encoding, message):
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    table = tmp_path / "table.csv"
    table.write_text("path,label\n" + "".join(f"{number}.png,é\n" for number in range(4)), encoding=encoding)
    source = Manifest(kind="manifest", path=table)
    if message:
        with pytest.raises(DataError, match=message):
            source.records()
    else:
        assert source.records()[0].metadata == {"label": "é"}


def test_a_link_to_nothing_is_named(imagefolder):
    (imagefolder / "gone.png").symlink_to(imagefolder / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png is a link to nothing"):
        ImageFolder(kind="imagefolder", path=imagefolder).externals(sha256_of)


def test_a_dataset_without_labels_has_none(cxr, tmp_path):
    images = build(cxr, tmp_path)
    assert len(images) == 50
    assert np.array_equal(images.groups, np.arange(50))  # every image is a group of its own
    assert images.label_names == []
    assert images.label_of(0) is None


def test_near_duplicates_stay_on_one_side_of_a_drawn_split(imagefolder, tmp_path):
    twins = {}
    for number in range(0, 40, 2):  # each of 20 images once more, recompressed
        with Image.open(imagefolder / f"{number:02d}.png") as image:
            image.save(imagefolder / f"{number:02d}-again.jpg", quality=80)
        twins[f"{number:02d}.png"] = f"{number:02d}-again.jpg"
    images = build(imagefolder, tmp_path, holdout={"fraction": 0.3})
    side = dict(zip(images.ids, images.heldout.tolist(), strict=True))
    assert images.pixels["near_duplicates"] == 40
    assert all(side[one] == side[other] for one, other in twins.items())
    apart = build(imagefolder, tmp_path / "apart", holdout={"fraction": 0.3}, near_duplicate_bits=None)
    side = dict(zip(apart.ids, apart.heldout.tolist(), strict=True))
    assert any(side[one] != side[other] for one, other in twins.items())


def test_near_duplicates_across_given_splits_are_counted(imagefolder, tmp_path):
    for name in ("train", "test"):
        (tmp_path / "split" / name).mkdir(parents=True)
    for number in range(6):
        shutil.copy(imagefolder / f"{number:02d}.png", tmp_path / "split" / ("train", "test")[number % 2])
    shutil.copy(imagefolder / "00.png", tmp_path / "split" / "test" / "copy.png")
    images = build(tmp_path / "split", tmp_path, holdout={"splits": ["test"]})
    assert images.facts()["of them across given splits"] == 2


def test_a_slide_in_several_given_splits_is_refused(imagefolder, tmp_path):
    rows = (imagefolder / "metadata.jsonl").read_text().splitlines()
    for number, row in enumerate(rows):
        folder = tmp_path / "split" / ("train", "test")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(imagefolder / f"{number:02d}.png", folder)
        with (folder / "metadata.jsonl").open("a") as file:
            file.write(row + "\n")
    with pytest.raises(DataError, match=r"slide s0 lies in several of the given splits \(40 images"):
        build(tmp_path / "split", tmp_path, group="slide", holdout={"splits": ["test"]})


def test_excluded_images_are_left_out_and_counted(imagefolder, tmp_path):
    (tmp_path / "exclude.txt").write_text("00.png\n07.png\ngone.png\n")
    images = build(imagefolder, tmp_path, exclude=tmp_path / "exclude.txt")
    assert len(images) == 38
    assert images.facts()["excluded"] == 2


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([2, 10, 2, 10], ["2", "10"]),
        ([True, False, True, False], ["false", "true"]),
        ([1.0, 0.0, 1.0, 0.0], ["0", "1"]),
        (["ä b", "a", "c", "a"], ["a", "c", "ä b"]),
        (["one"] * 4, ["one"]),
    ],
)
def test_labels_of_every_kind_become_names(imagefolder, tmp_path, values, names):
    rows = [json.dumps({"file_name": f"{number:02d}.png", "grade": value}) for number, value in enumerate(values * 10)]
    (imagefolder / "metadata.jsonl").write_text("\n".join(rows))
    assert build(imagefolder, tmp_path, label="grade").label_names == names


@pytest.mark.parametrize("value", ["NaN", "null", '""', '"nan"'])
def test_a_missing_label_is_told_whatever_stands_for_it(imagefolder, tmp_path, value):
    text = (imagefolder / "metadata.jsonl").read_text()
    (imagefolder / "metadata.jsonl").write_text(text.replace('"label": "healthy"', f'"label": {value}', 2))
    with pytest.raises(DataError, match=r"00\.png has no label in column 'label' \(2 images\)"):
        build(imagefolder, tmp_path, label="label")


def test_sixteen_bit_grey_is_scaled_by_a_window_that_clips_nothing_and_is_recorded(tmp_path):
    (tmp_path / "deep").mkdir()
    ramp = np.linspace(0, 4000, 64 * 64).reshape(64, 64).astype(np.uint16)
    for number in range(4):
        Image.fromarray(np.roll(ramp, 7 * number, 1) // (number + 1)).save(tmp_path / "deep" / f"{number}.png")
    images = build(tmp_path / "deep", tmp_path)
    assert images.pixels["window"] == [0, 4095]  # 12 bits hold 4000
    assert images.pixels["modes"] == {"I;16": 4}
    pixels = images.read(0)
    assert pixels.max() == round(4000 / 4095 * 255)
    assert len(np.unique(pixels)) == 250
    narrow = build(tmp_path / "deep", tmp_path / "narrow", window=(1000, 2000))
    assert (narrow.read(0) == 255).mean() == pytest.approx(0.5, abs=0.01)


def test_a_killed_scan_goes_on_where_it_was(imagefolder, tmp_path):
    work = Work(folder=tmp_path / "work")
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=imagefolder))
    before = dataset.function(config, work=work)
    for path in imagefolder.glob("*.png"):
        path.write_bytes(b"")  # whatever happens to the files now, their findings are on disk
    assert dataset.function(config, work=work).sha256 == before.sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot identify image file"),
        (b"this is text", "cannot identify image file"),
        (None, "100000 x 100000 pixels|decompression bomb"),
    ],
)
def test_bad_files_are_told_with_their_name_and_a_next_step(imagefolder, tmp_path, content, message):
    (imagefolder / "05.png").write_bytes(bomb() if content is None else content)
    with pytest.raises(DataError, match=message) as caught:
        build(imagefolder, tmp_path)
    assert caught.value.message.startswith("05.png does not decode")
    assert "mep lint" in caught.value.hint


def bomb():
    """A PNG whose header claims 100,000 x 100,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def test_a_file_that_does_not_decode_is_named(imagefolder, tmp_path):
    (imagefolder / "07.png").write_bytes((imagefolder / "07.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"07\.png does not decode"):
        build(imagefolder, tmp_path, label="label")


@pytest.mark.parametrize(
    ("settings", "message", "field"),
    [
        ({"label": "diagnosis"}, "no column 'diagnosis'", "dataset.label"),
        ({"columns": ["age"]}, "no column 'age'", "dataset.columns"),
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
