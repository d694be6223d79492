"""What a source adds to the bare decoding of its library, and how its memory grows with the number of images.

    python tests/bench/bench_sources.py dicom|nifti|slides [--files 10000]

Ours is the whole way: listing, headers, decoding, window. Bare is the library's shortest way to stored pixels, of
DICOM dcmread(path).pixel_array. Later is ours where the files were not listed, as stages after `dataset` read them.
All run in this process, on one core, in turns; seconds are of the processor, so that a busy machine counts less. Files
are links to fifty real X-rays that the library wrote (../shared/data/rsna-cxr), or to the library's own files.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from dicom_files import dicom_files, write_dicom
from PIL import Image

XRAYS = Path(__file__).parents[3] / "shared" / "data" / "rsna-cxr"
TURNS = 5


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def turns(ids, ours, bare, later=None):
    """Parts of the ids in turns, ours and the library's, each by its own seconds."""
    ways = {"bare": bare, "ours": ours} | ({"later": later} if later else {})
    spent = dict.fromkeys(ways, 0.0)
    for part in np.array_split(ids, TURNS):
        for which, way in ways.items():
            begin = time.process_time()
            for image_id in part:
                way(str(image_id))
            spent[which] += time.process_time() - begin
    return spent


def tell(name, n, listing_s, spent, before_mb):
    added = (spent["ours"] + listing_s) / spent["bare"] - 1
    later = f", later {spent['later'] / spent['bare'] - 1:+.1%}" if "later" in spent else ""
    memory = f"memory {before_mb:.0f} -> {peak_mb():.0f} MB"
    print(
        f"{name}, {n:,} images: bare {spent['bare'] / n * 1e3:.3f} ms, ours {spent['ours'] / n * 1e3:.3f} ms"
        f" and {listing_s / n * 1e3:.3f} ms to list, adds {added:+.1%}{later}; {memory}",
        flush=True,
    )


def linked(folder, originals, n, suffix):
    folder.mkdir()
    for number in range(n):
        os.link(originals[number % len(originals)], folder / f"{number:06d}{suffix}")


def dicom(n):
    """X-rays of 8 bits as they are and as JPEG 2000, a CT slice of 16 bits as JPEG 2000 and as it is."""
    from pydicom import dcmread
    from pydicom.uid import JPEG2000Lossless

    from mep.methods.sources.dicom import Dicom

    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        plain, packed = [], []
        for path in sorted(XRAYS.glob("*.jpg")):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("L"))
            plain.append(write_dicom(root / "plain" / f"{path.stem}.dcm", pixels, PatientID=path.stem[:4]))
        for path in plain[:5]:
            data = dcmread(path)
            data.compress(JPEG2000Lossless)
            packed.append(root / "packed" / path.name)
            packed[-1].parent.mkdir(exist_ok=True)
            data.save_as(packed[-1])
        slice_ = dcmread(dicom_files() / "693_J2KI.dcm")
        slice_.decompress()
        slice_.save_as(root / "ct.dcm")
        (root / "ct-j2k.dcm").write_bytes((dicom_files() / "693_J2KI.dcm").read_bytes())
        for name, originals, share in [
            ("X-ray 1024 px, JPEG 2000", packed, 20),
            ("X-ray 1024 px, not compressed", plain, 1),
            ("CT 512 px, JPEG 2000", [root / "ct-j2k.dcm"], 5),
            ("CT 512 px, not compressed", [root / "ct.dcm"], 1),
        ]:
            folder = root / name.replace(" ", "-")
            linked(folder, originals, n // share, ".dcm")
            source = Dicom(kind="dicom", path=folder, names="path")
            before = peak_mb()
            begin = time.process_time()
            ids = [record.id for record in source.records()]
            listing_s = time.process_time() - begin
            later = Dicom(kind="dicom", path=folder, names="path")
            spent = turns(ids, source.open, lambda one, folder=folder: dcmread(folder / one).pixel_array, later.open)
            tell(name, len(ids), listing_s, spent, before)


def nifti(n):
    """Every slice of a volume of 256 x 256 x 180 values of 16 bits, compressed and not."""
    import nibabel

    from mep.methods.sources.nifti import Nifti

    voxels = np.random.default_rng(0).integers(0, 400, (256, 256, 180)).cumsum(2).astype(np.int16)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for suffix in (".nii.gz", ".nii"):
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), root / f"one{suffix}")
            linked(root / f"set{suffix}", [root / f"one{suffix}"], max(TURNS, n // 180), suffix)
            source = Nifti(kind="nifti", path=root / f"set{suffix}")
            before, begin = peak_mb(), time.process_time()
            records = source.records()
            listing_s = time.process_time() - begin
            slices = {name: [] for name in source.names_below()}
            for record in records:
                slices[record.metadata["volume"]].append(record.id)
            spent = turns(
                list(slices),
                lambda name, source=source, slices=slices: [source.open(one) for one in slices[name]],
                lambda name, folder=root / f"set{suffix}": np.asanyarray(nibabel.load(folder / name).dataobj),
            )
            tell(f"NIfTI {suffix}", len(records), listing_s, spent, before)


def slides(n):
    """Overlapping tiles of a slide of 7,168 px that the library wrote, at its finest level and at a fourth of it."""
    import openslide
    from slide_files import write_slide

    from mep.methods.sources.slides import Slides

    tissue = np.tile(np.asarray(Image.open(Path(np.__file__).parents[1] / "skimage/data/ihc.png")), (14, 14, 1))
    with tempfile.TemporaryDirectory() as place:
        path = write_slide(Path(place) / "a.svs", tissue)
        for um_per_px in (0.5, 2.0):
            side = 256 * um_per_px / 0.5
            stride = round((7168 - side) / (n**0.5 - 1) * 0.5 / um_per_px)
            source = Slides(kind="slides", path=path, um_per_px=um_per_px, stride_px=stride, tissue=0.1)
            before, begin = peak_mb(), time.process_time()
            ids = [record.id for record in source.records()]
            listing_s = time.process_time() - begin
            file, level = openslide.open_slide(path), 0 if um_per_px == 0.5 else 2

            def bare(one, file=file, level=level):
                corner = int(one[-13:-7]), int(one[-6:])
                return file.read_region(corner, level, (256, 256)).convert("RGB")

            tell(f"slide at {um_per_px} um/px", len(ids), listing_s, turns(ids, source.open, bare), before)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["dicom", "nifti", "slides"])
    parser.add_argument("--files", type=int, default=10_000)
    chosen = parser.parse_args()
    globals()[chosen.which](chosen.files)
