"""What lies where no image was found: the endings of the files that were seen, and what would read them."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from mep.methods.sources._tree import OTHERS, SUFFIXES

DOUBLE = (".nii.gz", ".tar.gz", ".ome.tif", ".ome.tiff")
SHOWN = 4

ADVICE = (
    ((".zip", ".tar"), "source: {kind: archive, path: FILE} reads images in it"),
    ((".tar.gz", ".tgz", ".7z", ".rar", ".gz"), "unpack it"),
    ((".parquet", ".arrow"), "source: {kind: datasets, path: ...} reads a saved dataset, {kind: manifest} a table"),
    ((".csv",), "source: {kind: manifest, path: FILE} reads a table with the paths of the images"),
    ((".nrrd", ".mha", ".mhd"), "write volumes as NIfTI, for instance with SimpleITK: {kind: nifti} reads them"),
    ((".npy", ".npz", ".h5", ".hdf5", ".mat", ".pt"), "write the arrays as PNG, or as TIFF of 16 bits"),
    ((".heic", ".heif", ".gif", ".jxl", ".svg"), "write the images as PNG"),
)
"""Endings -> what to do about such files; `_tree.OTHERS` names the endings that another source reads."""


def ending_of(name: str) -> str:
    """The ending of a file name in lower case, both parts of a double one; empty where there is none."""
    base = name.lower()
    return next((ending for ending in DOUBLE if base.endswith(ending)), PurePosixPath(base).suffix)


def no_image(endings: Counter[str]) -> str:
    """`no image, but files: 1,204 .dcm, 3 .csv and 2 without an ending`."""
    most = endings.most_common(SHOWN)
    texts = [f"{n:,} {ending or 'without an ending'}" for ending, n in most]
    if more := endings.total() - sum(n for _, n in most):
        texts.append(f"{more:,} others")
    listing = " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
    return f"no image, but files: {listing}" if listing else "no image"


def advice(endings: Counter[str]) -> str:
    """What would read the most frequent of the files that something reads, else which ones are images."""
    for ending, _ in endings.most_common():
        if kind := OTHERS.get(ending) or (ending if ending in OTHERS.values() else ""):
            return f"source: {{kind: {kind}, path: ...}} reads {ending}"
        for known, what in ADVICE:
            if ending in known:
                return f"{ending}: {what}"
    return f"images end in {', '.join(SUFFIXES)}"
