"""A place without an image says what lies there instead, and what would read it."""

import tarfile
import zipfile
from collections import Counter

import pytest

from mep.errors import DataError
from mep.evaluation.folder import open_folder
from mep.methods.sources._endings import advice, ending_of, no_image
from mep.methods.sources.archive import Archive
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.stages.dataset.stage import list_records


def told(source):
    with pytest.raises(DataError) as caught:
        list_records(DatasetConfig.model_construct(source=source, exclude=None))
    return caught.value.message, caught.value.hint


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    (folder / "p1").mkdir(parents=True)
    for name in ("p1/a.nii.gz", "p1/b.NII.gz", "labels.csv"):
        (folder / name).write_bytes(b"x")
    (folder / "p1" / "IM0001").write_bytes(bytes(128) + b"DICM")
    return folder


@pytest.mark.parametrize("pack", ["folder", "zip", "tar"])
def test_the_endings_that_were_seen_are_named_with_what_would_read_the_most_frequent(scans, tmp_path, pack):
    path = tmp_path / f"scans.{pack}"
    files = [file for file in sorted(scans.rglob("*")) if file.is_file()]
    if pack == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(scans))
    elif pack == "tar":
        with tarfile.open(path, "w") as archive:
            archive.add(scans, ".")
    source = ImageFolder(kind="imagefolder", path=scans) if pack == "folder" else Archive(kind="archive", path=path)
    message, hint = told(source)
    assert message.startswith("the dataset holds no image, but files: 2 .nii.gz, ")
    assert ("1 dicom" in message, "1 without an ending" in message) == (pack == "folder", pack != "folder")
    assert "{kind: nifti, path: ...} reads .nii.gz" in hint


def test_a_dicom_without_an_ending_is_told_with_the_source_that_reads_it(scans):
    (scans / "p1" / "a.nii.gz").unlink()
    (scans / "p1" / "b.NII.gz").unlink()
    (scans / "labels.csv").unlink()
    assert told(ImageFolder(kind="imagefolder", path=scans)) == (
        "the dataset holds no image, but files: 1 dicom",
        "source: {kind: dicom, path: ...} reads dicom",
    )


def test_an_empty_folder_says_that_images_are_needed(tmp_path):
    assert told(ImageFolder(kind="imagefolder", path=tmp_path)) == (
        "the dataset holds no image",
        "at least two are needed",
    )


def test_evaluate_tells_it_too(scans):
    with pytest.raises(DataError, match=r"scans holds no image, but files: 2 .nii.gz"):
        open_folder(scans)


def test_many_endings_are_cut_and_unknown_ones_are_answered_with_those_of_images():
    counts = Counter({".a": 2000, ".b": 5, "": 3, ".c": 2, ".d": 1, ".e": 1})
    assert no_image(counts) == "no image, but files: 2,000 .a, 5 .b, 3 without an ending, 2 .c and 2 others"
    assert advice(counts).startswith("images end in .jpg")
    assert [ending_of(name) for name in ("x/y.TAR.GZ", "a.b/c", ".hidden", "a.dcm")] == [".tar.gz", "", "", ".dcm"]
