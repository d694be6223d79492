"""DICOM files that pydicom writes, and those that come with it."""

import shutil
from pathlib import Path

import numpy as np


def dicom_files():
    """The folder of pydicom's own test files."""
    import pydicom

    return Path(pydicom.__file__).parent / "data" / "test_files"


def write_dicom(path, pixels, **tags):
    """Write grey (h, w), colour (h, w, 3) or frames of grey (n, h, w) uncompressed, with tags by keyword."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path.name)])
    is_colour = pixels.ndim == 3 and pixels.shape[2] == 3
    data.Rows, data.Columns = pixels.shape[:2] if is_colour else pixels.shape[-2:]
    data.SamplesPerPixel = 3 if is_colour else 1
    data.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        data.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    for keyword, value in tags.items():
        setattr(data, keyword, value)
    data.HighBit = data.BitsStored - 1
    data.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def draw_dicom_folder(folder):
    """Real files of pydicom with and without suffix, of several patients, some with many frames."""
    chosen = ["693_J2KI.dcm", "examples_overlay.dcm", "MR_small_RLE.dcm", "examples_ybr_color.dcm", "CT_small.dcm"]
    folder.mkdir(parents=True)
    for number, name in enumerate(chosen):
        shutil.copy(dicom_files() / name, folder / f"IM{number:04d}{'.dcm' * (number % 2)}")
    for number, path in enumerate(sorted((dicom_files() / "dicomdirtests" / "98892003").rglob("*"))):
        if path.is_file():
            shutil.copy(path, folder / f"MR{number:04d}")
