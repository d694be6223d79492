import json
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mep.artifacts.base import save_table
from mep.errors import DataError, EnvironmentLacks
from mep.imaging.pixels import to_rgb
from mep.machine.files import sha256_of
from mep.methods.sources import Record
from mep.methods.sources.archive import Archive
from mep.methods.sources.datasets import Datasets
from mep.methods.sources.imagefolder import ImageFolder
from mep.methods.sources.manifest import Manifest
from mep.methods.sources.sample import Sample


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


def test_class_folders_label_the_images_where_there_is_no_metadata(tmp_path):
    for name in ("train/benign/a.png", "train/malignant/a.png", "val/benign/b.png"):
        picture(tmp_path / name)
    (tmp_path / "train" / "rare").mkdir()
    source = folder_source(tmp_path)
    assert [(record.split, record.metadata["label"]) for record in source.records()] == [
        ("train", "benign"),
        ("train", "malignant"),
        ("validation", "benign"),
    ]
    assert source.classes("label") == ["benign", "malignant", "rare"]


def test_a_row_for_an_image_that_has_one_is_refused(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png"}\n{"file_name": "a.png"}\n')
    with pytest.raises(DataError, match=r"metadata.jsonl:2: a.png has a row already"):
        folder_source(tmp_path).records()


@pytest.mark.parametrize(
    ("suffix", "how"), [("webp", {"lossless": True}), ("avif", {"quality": 100, "subsampling": "4:4:4"}), ("jp2", {})]
)
def test_images_of_newer_formats_are_read_from_folder_archive_and_manifest(tmp_path, suffix, how):
    wanted = np.random.default_rng(0).integers(90, 110, (32, 32, 3), dtype=np.uint8)
    (tmp_path / "set").mkdir()
    Image.fromarray(wanted).save(tmp_path / "set" / f"a.{suffix}", **how)
    (tmp_path / "table.csv").write_text(f"path\na.{suffix}\n")
    sources = [folder_source(tmp_path / "set"), pack(tmp_path / "set", tmp_path / "set.zip")]
    sources.append(Manifest(kind="manifest", path=tmp_path / "table.csv", root=tmp_path / "set"))
    for source in sources:
        [record] = source.records()
        error = np.abs(to_rgb(source.open(record.id)).astype(int) - wanted)
        assert error.max() == 0 if suffix != "avif" else error.mean() < 2  # its colours are in YCbCr


def pack(folder, path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for one in sorted(folder.rglob("*.*")):
                file.write(one, one.relative_to(folder))
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as file:
            file.add(folder, ".")
    return Archive(kind="archive", path=path)


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_an_archive_holds_what_its_folder_holds(imagefolder, tmp_path, suffix):
    packed, folder = pack(imagefolder, tmp_path / f"images.{suffix}"), folder_source(imagefolder)
    assert packed.records() == folder.records()
    with ThreadPoolExecutor(4) as pool:
        pixels = list(pool.map(lambda record: to_rgb(packed.open(record.id)), packed.records()))
    assert all(
        np.array_equal(one, to_rgb(folder.open(record.id)))
        for one, record in zip(pixels, folder.records(), strict=True)
    )
    assert packed.externals(sha256_of) == {"content": sha256_of(packed.path)}


def test_a_file_that_is_no_archive_or_has_no_index_is_refused(imagefolder, tmp_path):
    with pytest.raises(DataError, match="neither a zip nor an uncompressed tar") as caught:
        pack(imagefolder, tmp_path / "images.tar.gz").records()
    assert "unpack it" in caught.value.hint


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_manifest_names_images_anywhere_below_its_root(imagefolder, tmp_path, suffix):
    rows = {"path": ["01.png", str(imagefolder / "00.png")], "sex": ["f", "m"], "part": ["a", "b"]}
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        path.write_text("path,sex,part\n" + "".join(f"{','.join(row)}\n" for row in zip(*rows.values(), strict=True)))
    else:
        save_table(path, rows)
    source = Manifest(kind="manifest", path=path, root=imagefolder, split="part")
    assert source.records() == [Record("00.png", "b", {"sex": "m"}), Record("01.png", "a", {"sex": "f"})]
    assert to_rgb(source.open("00.png")).shape == (32, 32, 3)
    before = source.externals(sha256_of)
    picture(imagefolder / "00.png", 9)
    assert source.externals(sha256_of) != before


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ("../x.png", {}, "lies outside the folder"),
        ("/etc/passwd", {}, "lies outside the folder"),
        ("gone.png", {}, "1 images of .* are not there"),
        ("00.png\n00.png", {}, "named twice"),
        ("00.png,more", {}, "more values than columns"),
        ("00.png", {"column": "file"}, "no column 'file'"),
        ("00.png", {"split": "fold"}, "no column 'fold'"),
    ],
)
def test_a_bad_manifest_is_told(imagefolder, tmp_path, row, settings, message):
    (tmp_path / "table.csv").write_text(f"path\n{row}\n")
    with pytest.raises(DataError, match=message):
        Manifest(kind="manifest", path=tmp_path / "table.csv", root=imagefolder, **settings).records()


@pytest.fixture(scope="module")
def saved_dataset(tmp_path_factory):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
    from datasets import Image as ImageFeature

    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)) for _ in range(5)]
    kinds = {"image": ImageFeature(), "grade": ClassLabel(names=["low", "high", "never"]), "age": Value("int32")}
    columns = {"image": pictures, "grade": [0, 1, 0, 1, 1], "age": [60, 61, None, 63, 64]}
    data = Dataset.from_dict(columns, features=Features(kinds))
    folder = tmp_path_factory.mktemp("saved")
    DatasetDict({"train": data.select([0, 1, 2]), "test": data.select([3, 4])}).save_to_disk(folder / "disk")
    (folder / "hub").mkdir()
    data.to_parquet(folder / "hub" / "train-00000-of-00001.parquet")
    return folder, [np.asarray(one) for one in pictures]


def test_a_saved_dataset_gives_names_for_class_labels_and_the_stored_pixels(saved_dataset):
    folder, pictures = saved_dataset
    source = Datasets(kind="datasets", path=folder / "disk")
    records = source.records()
    assert [record.id for record in records][:2] == ["test/000000000", "test/000000001"]
    assert records[2] == Record("train/000000000", "train", {"grade": "low", "age": 60})
    assert np.array_equal(to_rgb(source.open("test/000000001")), pictures[4])
    assert source.classes("grade") == ["low", "high", "never"]


def test_a_hub_dataset_is_pinned_to_a_commit_and_read_from_the_cache(saved_dataset, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "datasets--lab--tiles"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(saved_dataset[0] / "hub", repository / "snapshots" / commit)
    source = Datasets(kind="datasets", id="lab/tiles")
    assert source.externals(sha256_of) == {"content": commit}
    assert len(source.records()) == 5
    assert np.array_equal(to_rgb(source.open("train/000000002")), saved_dataset[1][2])
    with pytest.raises(EnvironmentLacks, match="dataset lab/absent") as caught:
        Datasets(kind="datasets", id="lab/absent").externals(sha256_of)
    assert caught.value.hint.endswith("--repo-type dataset")


def test_a_dataset_without_that_image_column_names_those_it_has(saved_dataset):
    with pytest.raises(DataError, match=r"column 'picture' of .* holds no images") as caught:
        Datasets(kind="datasets", path=saved_dataset[0] / "disk", image="picture").records()
    assert caught.value.hint == "columns with images: image"
    with pytest.raises(DataError, match=r"does not load as a dataset"):
        Datasets(kind="datasets", path=saved_dataset[0]).records()


def test_a_source_names_the_file_that_an_image_is_read_from(tmp_path):
    path = tmp_path / "images.zip"
    assert Archive(kind="archive", path=path).file_of("a.png") == path
    assert folder_source(tmp_path).file_of("a.png") == tmp_path / "a.png"
    assert Sample(kind="sample").file_of("train/y000x000").name == "ihc.png"
