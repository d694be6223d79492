import json
import os
import pickle

import numpy as np
import pytest
from dicom_files import dicom_files, write_dicom
from pydantic import ValidationError

from mep.errors import DataError, EnvironmentLacks
from mep.imaging.pixels import to_rgb
from mep.machine.files import sha256_of
from mep.methods.sources.dicom import Dicom
from mep.methods.sources.imagefolder import ImageFolder
from mep.sections.dataset import DatasetConfig
from mep.stages.dataset.stage import list_records

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def dicom(path, **settings):
    return Dicom(kind="dicom", path=path, **settings)


@pytest.fixture
def ward(tmp_path):
    """Three patients; one has two images, one of which has three frames; a report without pixels and an index."""
    folder = tmp_path / "ward"
    write_dicom(folder / "IM0001", GREY, PatientID="MRN-77412", PatientName="Doe^Jane", PatientAge="061Y")
    write_dicom(folder / "IM0002.dcm", np.stack([GREY, GREY + 1, GREY + 2]), PatientID="MRN-77412", PatientAge="018M")
    write_dicom(folder / "more" / "IM0001.dcm", GREY, PatientID="MRN-00001", PatientAge="097Y")
    (folder / "DICOMDIR").write_bytes((folder / "IM0001").read_bytes())
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_files_are_found_with_and_without_suffix_and_frames_are_images(ward):
    records = dicom(ward, tags=("PatientAge",)).records()
    assert [(record.id, record.metadata["PatientID"], record.metadata["PatientAge"]) for record in records] == [
        ("IM0001", "00001", 61),
        ("IM0002.dcm#0001", "00001", 1.5),
        ("IM0002.dcm#0002", "00001", 1.5),
        ("IM0002.dcm#0003", "00001", 1.5),
        ("more/IM0001.dcm", "00002", 90),  # a higher age would tell who it is
    ]
    assert np.array_equal(to_rgb(dicom(ward).open("IM0002.dcm#0003"))[..., 0], GREY + 2)


def test_one_file_is_a_dataset_too_and_an_empty_folder_is_not(ward, tmp_path):
    assert len(dicom(ward / "IM0002.dcm").records()) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file of kind dicom"):
        dicom(tmp_path / "empty").records()
    with pytest.raises(DataError, match="gone does not exist"):
        dicom(tmp_path / "gone").records()


def test_a_pipe_in_the_place_of_a_metadata_file_is_told_and_not_waited_for(ward):
    os.mkfifo(ward / "metadata.csv")
    with pytest.raises(DataError, match=r"metadata\.csv is a pipe, not a file"):
        dicom(ward).records()


def test_labels_come_from_a_metadata_file_by_the_path_of_the_file(ward):
    rows = [{"file_name": "IM0002.dcm", "finding": "mass"}, {"file_name": "IM0001", "finding": "none"}]
    (ward / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {record.id: record.metadata["finding"] for record in dicom(ward).records()}
    assert found["IM0002.dcm#0002"] == "mass"
    assert found["more/IM0001.dcm"] is None


def test_no_record_holds_an_identity(ward):
    tags = ("StudyInstanceUID", "PatientSex", "Manufacturer")
    for path in sorted(ward.rglob("IM*")):
        import pydicom

        data = pydicom.dcmread(path)
        data.StudyInstanceUID, data.PatientSex, data.Manufacturer = "1.2.840.77412", "F", "Acme"
        data.save_as(path)
    text = repr(dicom(ward, tags=tags).records())
    assert not any(secret in text for secret in ("MRN", "77412", "Doe", "1.2.840"))
    assert "Acme" in text


def test_what_is_known_of_listed_files_travels_to_other_processes_and_holds_no_identity(ward, monkeypatch):
    source = dicom(ward, tags=("PatientAge",))
    ids = [record.id for record in source.records()]
    sent = pickle.dumps(source)
    assert not any(secret in sent for secret in (b"MRN", b"77412", b"Doe", b"061Y"))
    monkeypatch.setattr("mep.imaging.dicom.frames.read_header", None)  # so that reading a header would fail
    assert [to_rgb(pickle.loads(sent).open(one))[0, 0, 0] for one in ids] == [0, 0, 1, 2, 0]


@pytest.mark.parametrize("tag", ["PatientName", "PatientBirthDate", "StudyDate", "PatientComments", "StudyDescription"])
def test_tags_that_may_identify_are_refused(ward, tag):
    with pytest.raises(ValidationError, match=f"{tag} may identify a person"):
        dicom(ward, tags=(tag,))


def test_a_tag_that_is_none_is_refused(ward):
    with pytest.raises(ValidationError, match="PatientAge2 is no DICOM keyword"):
        dicom(ward, tags=("PatientAge2",))


@pytest.mark.parametrize("name", ["MRN-77412/a.dcm", "doe_1.dcm", "pneumonia/mrn-77412.dcm"])
def test_a_path_that_names_the_patient_is_refused_until_the_recipe_says_how_images_are_called(tmp_path, name):
    write_dicom(tmp_path / "w" / name, GREY, PatientID="MRN-77412", PatientName="Doe^Jane^^Dr")
    write_dicom(tmp_path / "w" / "pneumonia" / "b.dcm", GREY, PatientID="ABCD")
    is_refused = name != "doe_1.dcm"  # three letters are found in many words
    if is_refused:
        with pytest.raises(DataError, match="the paths of 1 of 2 files hold their PatientID"):
            dicom(tmp_path / "w").records()
    source = dicom(tmp_path / "w", names="number")
    assert [record.id for record in source.records()] == ["000000", "000001"]
    assert "77412" not in repr(source.records())
    assert to_rgb(source.open("000001")).shape == (8, 8, 3)
    assert len(dicom(tmp_path / "w", names="path").records()) == 2


def test_class_folders_label_the_images_unless_they_name_patients(tmp_path):
    write_dicom(tmp_path / "pneumonia" / "MRN-1.dcm", GREY, PatientID="MRN-1")
    write_dicom(tmp_path / "normal" / "MRN-2.dcm", GREY, PatientID="MRN-2")
    labels = [record.metadata["label"] for record in dicom(tmp_path, names="number").records()]
    assert labels == ["normal", "pneumonia"]
    write_dicom(tmp_path / "MRN-3" / "x.dcm", GREY, PatientID="MRN-3")
    assert {record.metadata["label"] for record in dicom(tmp_path, names="number").records()} == {None}


def test_a_window_of_the_recipe_takes_the_place_of_those_of_the_headers(tmp_path):
    values = np.arange(-1000, 24, 16, dtype=np.int16).reshape(8, 8)
    write_dicom(tmp_path / "a.dcm", values, WindowCenter=0, WindowWidth=2, RescaleSlope=1, RescaleIntercept=0)
    config = DatasetConfig(source=dicom(tmp_path), window=(-1000, 8))
    assert config.source.open("a.dcm").mode == "I"
    assert DatasetConfig(source=dicom(tmp_path)).source.open("a.dcm").mode == "L"
    shown = to_rgb(config.source.open("a.dcm"), (-1000, 8))[..., 0]
    assert np.array_equal(shown, np.round((values + 1000) / 1008 * 255))


def test_a_broken_file_is_listed_so_that_lint_finds_it(ward):
    (ward / "broken.dcm").write_bytes(b"")
    (ward / "link.dcm").symlink_to(ward / "gone.dcm")
    os.mkfifo(ward / "pipe.dcm")
    os.mkfifo(ward / "pipe")
    listed = [record.id for record in dicom(ward).records()]
    assert {"broken.dcm", "link.dcm", "pipe.dcm"} < {*listed}
    with pytest.raises(DataError, match="pipe"):
        dicom(ward).open("pipe.dcm")
    with pytest.raises(DataError, match="link to nothing"):
        dicom(ward).externals(sha256_of)


def test_the_content_is_the_fingerprint(ward):
    before = dicom(ward).externals(sha256_of)
    write_dicom(ward / "IM0001", GREY + 1, PatientID="MRN-77412")
    assert dicom(ward).externals(sha256_of) != before


def test_a_file_that_changes_is_read_again(ward):
    assert dicom(ward).records()[0].metadata["PatientID"] == "00001"
    write_dicom(ward / "IM0001", np.stack([GREY, GREY]), PatientID="other")
    assert dicom(ward).records()[0].id == "IM0001#0001"


def test_the_library_that_is_missing_is_named(ward, monkeypatch):
    import importlib

    from mep.imaging.dicom.library import pydicom

    def refuse(name):
        raise ModuleNotFoundError(f"No module named '{name}'")

    pydicom.cache_clear()
    monkeypatch.setattr(importlib, "import_module", refuse)
    for ask in (dicom(ward).require, dicom(ward).records):
        with pytest.raises(EnvironmentLacks, match="the package pydicom is missing") as caught:
            ask()
        assert caught.value.hint.startswith("pip install 'mep[dicom]'")
    pydicom.cache_clear()


def test_the_files_of_the_library_are_listed_and_those_with_pixels_open():
    source = dicom(dicom_files() / "dicomdirtests", tags=("Modality",), names="path")
    kinds = {record.id: record.metadata["Modality"] for record in source.records()}
    assert kinds["77654033/CR1/6154"] == "CR"
    assert to_rgb(source.open("77654033/CR1/6154")).shape == (16, 16, 3)


@pytest.mark.parametrize("name", ["a.dcm", "IM0001"])
def test_a_folder_of_dicom_files_read_as_images_is_answered_with_the_source_that_reads_them(tmp_path, name):
    write_dicom(tmp_path / "set" / name, GREY)
    config = DatasetConfig(source=ImageFolder(kind="imagefolder", path=tmp_path / "set"))
    with pytest.raises(DataError, match="no image") as caught:
        list_records(config)
    assert caught.value.hint.startswith("source: {kind: dicom, path: ...} reads")
