import json

import numpy as np
import pytest
from PIL import Image

from mep.errors import DataError
from mep.files import sha256_of
from mep.pixels import to_rgb
from mep.sources.imagefolder import ImageFolder
from mep.sources.sample import Sample


def folder_source(path):
    return ImageFolder(kind="imagefolder", path=path)


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, value, value)).save(path)


def test_an_imagefolder_lists_images_with_their_columns_and_splits(tmp_path):
    for name in ("train/a.png", "test/b.png"):
        picture(tmp_path / name)
        row = {"file_name": name.split("/")[1], "label": "healthy", "age": 61}
        (tmp_path / name.split("/")[0] / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    records = folder_source(tmp_path).records()
    assert [(record.id, record.split, record.metadata) for record in records] == [
        ("test/b.png", "test", {"label": "healthy", "age": 61}),
        ("train/a.png", "train", {"label": "healthy", "age": 61}),
    ]


def test_metadata_may_be_csv_at_the_top_and_name_files_below(tmp_path):
    picture(tmp_path / "x" / "a.PNG")
    (tmp_path / "metadata.csv").write_text("file_name,stain\nx/a.PNG,dab\n")
    assert folder_source(tmp_path).records()[0].metadata == {"stain": "dab"}


def test_a_flat_folder_needs_no_metadata(tmp_path):
    picture(tmp_path / "a.png")
    assert [record.metadata for record in folder_source(tmp_path).records()] == [{}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"file_name": "../secret.png"}', "lies outside the folder"),
        ('{"file_name": "/etc/passwd"}', "lies outside the folder"),
        ('{"file_name": "none.png"}', "there is no image none.png"),
        ('{"label": "x"}', "no file_name"),
        ("{not json", "not JSON"),
        ("[1]", "not a JSON object"),
    ],
)
def test_bad_metadata_is_told_with_file_and_line(tmp_path, row, message):
    picture(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png"}\n' + row + "\n")
    with pytest.raises(DataError, match=message) as caught:
        folder_source(tmp_path).records()
    assert "metadata.jsonl:2" in caught.value.message


def test_the_content_of_a_folder_is_its_fingerprint(tmp_path):
    picture(tmp_path / "a.png", 1)
    before = folder_source(tmp_path).externals(sha256_of)
    assert folder_source(tmp_path).externals(sha256_of) == before
    picture(tmp_path / "a.png", 2)
    assert folder_source(tmp_path).externals(sha256_of) != before


def test_training_and_held_out_tiles_of_the_sample_share_no_pixel():
    source = Sample(kind="sample", tile_px=64, stride_px=16)
    seen = {"train": np.zeros((512, 512), bool), "heldout": np.zeros((512, 512), bool)}
    for record in source.records():
        y, x = int(record.id[-7:-4]), int(record.id[-3:])
        seen[record.split][y : y + 64, x : x + 64] = True
    assert not (seen["train"] & seen["heldout"]).any()
    assert seen["train"].sum() > seen["heldout"].sum() > 0


def test_stained_tiles_of_the_sample_are_browner_than_unstained_ones():
    source = Sample(kind="sample", stride_px=32)
    redness = {"stained": [], "unstained": []}
    for record in source.records():
        pixels = to_rgb(source.open(record.id)).astype(float)
        redness[record.metadata["stain"]].append((pixels[..., 0] - pixels[..., 2]).mean())
    assert np.mean(redness["stained"]) > np.mean(redness["unstained"]) + 40


def test_a_tile_too_large_for_the_sample_is_refused():
    with pytest.raises(DataError, match="no 256 px tile fits into the 192 px"):
        Sample(kind="sample", tile_px=256).records()


def test_the_real_patches_are_all_listed(pcam):
    records = folder_source(pcam).records()
    assert len(records) == 170
    assert {record.split for record in records} == {"train", "test", "validation"}
    assert {record.metadata["label"] for record in records} == {"healthy", "cancer"}
