import gzip
import itertools
import shutil

import nibabel
import numpy as np
import pytest
from nifti_files import nifti_files

from mep.errors import DataError
from mep.imaging.pixels import to_rgb
from mep.methods.sources.nifti import Nifti
from mep.sections.dataset import DatasetConfig

FILES = nifti_files()
VOLUME = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def nifti(path, **settings):
    return Nifti(kind="nifti", path=path, **settings)


def patch(path, start, values):
    """Overwrite bytes of a header, as a broken tool would."""
    content = bytearray(path.read_bytes())
    content[start : start + len(values)] = values
    path.write_bytes(content)


def write(path, voxels=VOLUME, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def slices(source):
    return {record.id.partition("#")[2]: np.asarray(source.open(record.id)) for record in source.records()}


def test_slices_lie_as_radiologists_look_at_them(tmp_path):
    source = nifti(write(tmp_path / "a.nii"), percentiles=None)
    # RAS+: x to the patient's right, y to the front, z to the head
    top_left = {"axial": VOLUME[3, 4, 2], "coronal": VOLUME[3, 2, 5], "sagittal": VOLUME[2, 4, 5]}
    below = {"axial": VOLUME[3, 3, 2], "coronal": VOLUME[3, 2, 4], "sagittal": VOLUME[2, 4, 4]}
    shape = {"axial": (5, 4), "coronal": (6, 4), "sagittal": (6, 5)}
    for plane in top_left:
        pixels = slices(source.model_copy(update={"plane": plane}))["0003"]
        assert (pixels[0, 0], pixels[1, 0], pixels.shape) == (top_left[plane], below[plane], shape[plane])


ORIENTATIONS = ["".join(one) for axes in itertools.permutations(["LR", "PA", "IS"]) for one in itertools.product(*axes)]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_the_order_of_the_axes_in_the_file_changes_nothing(tmp_path, codes):
    image = nibabel.Nifti1Image(VOLUME, np.diag([1, 2, 3, 1]))
    turned = nibabel.orientations.axcodes2ornt(codes)
    nibabel.save(image.as_reoriented(turned_from(image, turned)), tmp_path / "turned.nii.gz")
    nibabel.save(image, tmp_path / "plain.nii")
    for plane in ("axial", "coronal", "sagittal"):
        plain, other = (slices(nifti(tmp_path / name, plane=plane)) for name in ("plain.nii", "turned.nii.gz"))
        assert plain.keys() == other.keys()
        assert all(np.array_equal(plain[part], other[part]) for part in plain)


def turned_from(image, target):
    return nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), target)


def test_pixels_are_square_where_voxels_are_not(tmp_path):
    source = nifti(write(tmp_path / "a.nii", affine=np.diag([1, 1, 2.5, 1])), plane="coronal")
    assert source.open("a.nii#0001").size == (4, 15)
    assert nifti(tmp_path / "a.nii").open("a.nii#0001").size == (4, 5)


def test_the_slices_that_are_wanted_are_listed_with_volume_and_subject(tmp_path):
    write(tmp_path / "set" / "sub-07" / "anat" / "sub-07_T1w.nii.gz")
    records = nifti(tmp_path / "set", every=2, between=(0.2, 1)).records()
    assert [record.id.partition("#")[2] for record in records] == ["0002", "0004", "0006"]
    wanted = {"volume": "sub-07/anat/sub-07_T1w.nii.gz", "subject": "07", "slice": 2}
    assert {name: records[0].metadata[name] for name in wanted} == wanted


def test_labels_of_volumes_come_from_a_metadata_file(tmp_path):
    write(tmp_path / "set" / "a.nii")
    (tmp_path / "set" / "metadata.csv").write_text("file_name,grade\na.nii,3\n")
    assert {record.metadata["grade"] for record in nifti(tmp_path / "set").records()} == {"3"}


def test_each_volume_has_its_own_black_and_white_and_a_window_of_the_recipe_is_that_of_all(tmp_path):
    for number in (1, 100):
        write(tmp_path / "set" / f"{number}.nii", VOLUME * np.float32(number))
    source = nifti(tmp_path / "set")
    assert np.array_equal(*(to_rgb(source.open(f"{number}.nii#0003")) for number in (1, 100)))
    config = DatasetConfig(source=source, window=(0, 11900))
    assert np.array_equal(np.asarray(config.source.open("100.nii#0001")), slices(config.source)["0001"])
    assert np.asarray(config.source.open("1.nii#0006")).max() == 119


def test_slope_and_intercept_of_the_header_are_applied():
    source = nifti(FILES / "functional.nii", volume=7, percentiles=None)
    wanted = nibabel.load(FILES / "functional.nii").get_fdata()[..., 7]
    assert np.allclose(np.asarray(source.open("functional.nii#0002")), wanted[::1, ::-1, 1].T, rtol=1e-6)  # LAS+


def test_a_file_of_several_volumes_asks_which():
    with pytest.raises(DataError, match=r"functional\.nii holds 20 volumes") as caught:
        nifti(FILES / "functional.nii").records()
    assert "from 0 to 19" in caught.value.hint
    assert len(nifti(FILES / "example4d.nii.gz", volume=1).records()) == 24


def test_broken_files_are_listed_so_that_lint_finds_them(tmp_path):
    whole = write(tmp_path / "whole.nii.gz", np.random.default_rng(0).normal(size=(40, 40, 6))).read_bytes()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "empty.nii").touch()
    (tmp_path / "set" / "text.nii").write_text("no volume" * 100)
    (tmp_path / "set" / "torn.nii.gz").write_bytes(gzip.compress(gzip.decompress(whole)[:2000]))
    shutil.copy(FILES / "row_major.dconn.nii", tmp_path / "set" / "matrix.nii")
    patch(write(tmp_path / "set" / "flat.nii"), 280, bytes(48))  # sform
    patch(write(tmp_path / "set" / "turned.nii"), 280, np.full(12, np.nan, "<f4").tobytes())
    patch(write(tmp_path / "set" / "sideless.nii"), 80, np.full(3, np.nan, "<f4").tobytes())  # pixdim
    write(tmp_path / "set" / "long.nii", affine=np.diag([1e-8, 1, 1, 1]))
    write(tmp_path / "set" / "blank.nii", np.full((4, 5, 6), np.nan, np.float32))
    source = nifti(tmp_path / "set")
    messages = {}
    for record in source.records():
        with pytest.raises(DataError) as caught:
            source.open(record.id)
        messages[record.id.partition("#")[0]] = caught.value.message
    assert messages["empty.nii"] == "the file is empty"
    assert messages["text.nii"].startswith("no NIfTI file")
    assert "to its end" in messages["torn.nii.gz"]
    assert messages["matrix.nii"].startswith("2 axes")
    assert messages["flat.nii"] == messages["turned.nii"]
    assert messages["flat.nii"].startswith("its header does not say which way is up")
    assert messages["sideless.nii"] == "its header claims voxels of nan x nan x nan mm"
    assert messages["long.nii"].startswith("its header claims 4 x 5000000")
    assert messages["blank.nii"] == "it holds no finite value"


def test_a_volume_without_a_slice_in_the_part_that_is_wanted_is_told(tmp_path):
    write(tmp_path / "short.nii")
    with pytest.raises(DataError, match=r"short\.nii has 6 axial slices, none of them between 0\.5 and 0\.51"):
        nifti(tmp_path, between=(0.5, 0.51)).records()


def test_the_real_files_of_the_library_open():
    source = nifti(FILES / "anatomical.nii")
    assert len(source.records()) == 25
    assert to_rgb(source.open("anatomical.nii#0013")).std() > 30
