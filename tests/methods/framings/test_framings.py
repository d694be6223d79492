"""Framings: which square of an image is seen, and that every stage sees the same."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mep.errors import DataError
from mep.imaging.pixels import square
from mep.machine.work import Work
from mep.methods.framings.crop import Crop
from mep.methods.framings.pad import Pad
from mep.methods.framings.region import Region
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.stages.dataset.lint import lint
from mep.stages.dataset.stage import dataset
from mep.stages.generation.stage import native_side


def ramp(height, width):
    """An image whose red is the column and whose green is the row of each pixel."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 9)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("keep", "size", "first"),
    [
        ("left", (10, 30), (0, 0)),
        ("right", (10, 30), (20, 0)),
        ("top", (30, 10), (0, 0)),
        ("bottom", (30, 10), (0, 20)),
        ("top", (10, 30), (10, 0)),  # of a wide image the centre
    ],
)
def test_a_crop_keeps_the_side_that_it_is_asked_for(keep, size, first):
    seen = Crop(kind="crop", keep=keep).frame(ramp(*size), {})
    assert seen.shape == (10, 10, 3)
    assert tuple(seen[0, 0, :2]) == first


def test_the_default_changes_no_pixel():
    pixels = ramp(9, 30)
    assert Crop(kind="crop").frame(pixels, {}) is pixels
    assert not Crop(kind="crop").frames


@pytest.mark.parametrize(("fill", "shade"), [("black", 0), ("white", 255), ("border", 100), ("edge", 100)])
def test_padding_loses_nothing_and_fills_both_sides(fill, shade):
    pixels = np.full((10, 31, 3), 100, dtype=np.uint8)
    pixels[5, 5] = 7
    seen = Pad(kind="pad", fill=fill).frame(pixels, {})
    assert seen.shape == (31, 31, 3)
    assert np.array_equal(seen[10:20], pixels)
    assert set(np.unique(seen[:10])) == set(np.unique(seen[20:])) == {shade}


AXIS = st.tuples(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30))
"""Pixels before a box, of it, and after it."""


@given(AXIS, AXIS)
def test_a_region_is_seen_whole_in_a_square_inside_of_the_image_where_it_fits(across, down):
    (x, wide, _), (y, high, _), width, height = across, down, sum(across), sum(down)
    framing, record = Region(kind="region", margin=0), {"x": x, "y": y, "width": wide, "height": high}
    pixels = ramp(height, width)
    seen = framing.frame(pixels, record)
    side = max(wide, high)
    assert seen.shape == (side, side, 3)
    assert framing.side(width, height, record) == side
    inside = seen[..., 2] == 9  # what is filled is black
    if side <= min(height, width):
        assert inside.all()
    places = {(int(r), int(g)) for r, g in seen[inside][:, :2]}
    assert {(column, row) for column in range(x, x + wide) for row in range(y, y + high)} <= places


def test_the_margin_of_a_region_is_a_share_of_its_longer_side():
    record = {"x": "40", "y": 40.0, "width": 20, "height": 10}
    seen = Region(kind="region", margin=0.25).frame(ramp(100, 100), record)
    assert seen.shape == (30, 30, 3)
    assert tuple(seen[0, 0, :2]) == (35, 30)  # about (50, 45)


@pytest.fixture
def folder(tmp_path):
    """Wide images, each with a white box on black, and its place in the metadata."""
    rows = []
    for number in range(8):
        pixels = np.zeros((20, 60, 3), dtype=np.uint8)
        x = 3 + 6 * number
        pixels[8:14, x : x + 6] = 255 - number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "x": x, "y": 8, "width": 6, "height": 6})
    write(tmp_path, rows)
    return tmp_path, rows


def write(folder, rows):
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(folder, **settings):
    config = DatasetConfig.model_validate(
        {"source": ImageFolder(kind="imagefolder", path=folder), "near_duplicate_bits": None} | settings
    )
    return config, dataset.function(config, work=Work(folder=folder / "work"))


def test_every_stage_reads_the_same_region_also_from_the_stored_artifact(folder, tmp_path):
    place, _ = folder
    config, images = read(place, framing={"kind": "region", "margin": 0})
    images.save(tmp_path)
    loaded = type(images).load(tmp_path, config)
    for one in (images, loaded, images.held_out, images.train):
        for row, image_id in enumerate(one.ids):
            expected = np.full((6, 6, 3), 255 - int(image_id[0]))
            assert np.array_equal(one.read(row), expected)
            assert np.array_equal(one.reader(image_id), expected)
            assert np.array_equal(one.read_square(row, 6), expected)
    assert native_side(images.train) == 6
    assert len(set(images.contents)) == 8


def test_what_is_seen_is_another_result_and_the_default_is_none(folder):
    place, _ = folder
    plain, cropped = read(place), read(place, framing="crop")
    padded, left = read(place, framing={"kind": "pad"}), read(place, framing={"kind": "crop", "keep": "left"})
    assert "framing" not in plain[0].dump()
    assert plain[0].dump() == cropped[0].dump()
    assert plain[1].framing is None
    assert len({json.dumps(config.dump()) for config, _ in (plain, padded, left)}) == 3
    assert np.array_equal(plain[1].read_square(0, 8), square(plain[1].read(0), 8))
    assert padded[1].read(0).shape == (60, 60, 3)
    assert (native_side(plain[1]), native_side(padded[1])) == (20, 60)
    told = [images.facts().get("cropped away") for _, images in (plain, padded, left)]
    assert told == ["67%", None, "67%"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, r"^3.png has no box: x: None, y: 8, width: 6, height: 6"),
        ({"width": 0}, r"^3.png of 60 x 20 pixels has a box of 0 x 6 at 21, 8"),
        ({"x": 58}, r"has a box of 6 x 6 at 58, 8"),
        ({"y": "low"}, r"has no box: .*y: low"),
    ],
)
def test_a_box_that_is_none_is_told_with_its_image_when_the_dataset_is_read(folder, change, message):
    place, rows = folder
    rows[3] |= change
    write(place, rows)
    with pytest.raises(DataError, match=message) as caught:
        read(place, framing="region")
    assert caught.value.field == "dataset.framing"
    source = ImageFolder(kind="imagefolder", path=place)
    config = DatasetConfig.model_validate({"source": source, "framing": "region"})
    found = lint(config, Work(folder=place / "lint"))[1]
    assert [(one.image, one.excluded) for one in found if one.check == "no_box"] == [("3.png", True)]


def test_an_image_without_a_box_may_be_seen_from_its_centre(folder):
    place, rows = folder
    rows[3] |= {"x": None}
    write(place, rows)
    _, images = read(place, framing={"kind": "region", "without": "centre"})
    row = images.ids.index("3.png")
    assert images.read(row).shape == (20, 60, 3)
    assert images.sides[row] == 20


def test_a_column_that_is_not_there_is_told(folder):
    place, _ = folder
    with pytest.raises(DataError, match="the dataset has no column 'x0'"):
        read(place, framing={"kind": "region", "box": ["x0", "y", "width", "height"]})


def test_latents_are_those_of_what_is_seen(folder, tmp_path):
    from small_data import TINY_BASE

    from mep.artifacts import TrainingSet
    from mep.artifacts.models import BaseModel
    from mep.methods.bases.scratch import Scratch
    from mep.sections.training import LatentsConfig
    from mep.stages.latents import latents

    place, rows = folder
    one, other, again = (
        read(place, framing=framing)[1] for framing in ("pad", {"kind": "crop", "keep": "left"}, "pad")
    )
    region = read(place, framing="region")[1]
    write(place, [row | {"width": 9} for row in rows])
    wider = read(place, framing="region")[1]
    scratch = Scratch.model_validate(TINY_BASE)
    work = Work(folder=tmp_path / "base")
    scratch.build(one.train, work)
    (work.out / "base.json").write_text(json.dumps({"kind": "scratch", "resolution": 16}))
    seen = []
    for number, images in enumerate((one, other, again, region, wider)):
        ids = images.train.ids
        members = TrainingSet(ids, [None] * len(ids), np.zeros(len(ids), int), np.ones(len(ids)), [])
        made = latents.function(
            LatentsConfig(),
            images,
            members,
            BaseModel(work.out),
            work=Work(folder=tmp_path / f"latents {number}", cache=tmp_path / "cache"),
        )
        seen.append({path.name: path.read_bytes() for path in (made.folder / "shards").glob("*.npy")})
    assert seen[0] == seen[2]
    assert len({content for files in seen for content in files.values()}) == 4
