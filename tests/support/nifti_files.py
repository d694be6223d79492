"""NIfTI files that come with nibabel."""

import shutil
from pathlib import Path


def nifti_files():
    """The folder of nibabel's own test files."""
    import nibabel

    return Path(nibabel.__file__).parent / "tests" / "data"


def draw_nifti_folder(folder):
    """Real volumes of the head: one, and another in two parts."""
    import nibabel

    folder.mkdir(parents=True)
    shutil.copy(nifti_files() / "reoriented_anat_moved.nii", folder)
    head = nibabel.load(nifti_files() / "anatomical.nii")
    nibabel.save(head.slicer[..., :12], folder / "lower.nii.gz")
    nibabel.save(head.slicer[..., 12:], folder / "upper.nii.gz")
