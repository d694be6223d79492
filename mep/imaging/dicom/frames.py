"""A frame of a DICOM file as an image: decoded, rescaled, seen through its window, dark where it is black."""

import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.imaging.dicom.grey import Display, shown
from mep.imaging.dicom.header import Pixels, read_header
from mep.imaging.dicom.library import pydicom
from mep.imaging.dicom.spacing import aspect_of
from mep.imaging.pixels import made_square, refuse_size
from mep.machine.files import refuse_special

if TYPE_CHECKING:
    from PIL.Image import Image

DECODERS = {
    "JPEG Extended": {"pylibjpeg": "pylibjpeg", "libjpeg": "pylibjpeg-libjpeg"},
    "JPEG Lossless": {"gdcm": "python-gdcm"},
    "JPEG-LS": {"gdcm": "python-gdcm"},
    "JPEG 2000": {"pylibjpeg": "pylibjpeg", "openjpeg": "pylibjpeg-openjpeg"},
    "High-Throughput JPEG 2000": {"pylibjpeg": "pylibjpeg", "openjpeg": "pylibjpeg-openjpeg"},
}
"""How the name of a transfer syntax begins, and the packages that decode it by their modules."""


def open_dicom(
    path: Path, frame: int = 0, *, as_shown: bool = True, known: Pixels | None = None, square: bool = False
) -> "Image":
    """A frame as an image.

    frame       from 0
    as_shown    grey through the header's window or VOI table to 8 bits, where it has one; False: as it was measured,
                rescaled to the modality's unit, such as Hounsfield units
    known       what an earlier look at the file found, so that its header need not be read again; without effect where
                the file has changed since
    square      pixels that are not square are made so (bilinear), at the finer of their two distances

    returns     mode L or RGB; I;16, I or F for grey that has more than 8 bits and no window. MONOCHROME1 is inverted:
                larger is brighter

    DataError   no pixels, encrypted or cut off ones, no decoder for their compression, a frame that is not there
    """
    from PIL import Image

    refuse_special(path)
    with path.open("rb") as file:
        stat, header = os.fstat(file.fileno()), None
        if known is None or known.layout.has_tables or not known.are_of(stat):
            header, known = _header(path, stat.st_size, stat.st_mtime_ns)
        layout = known.layout
        refuse_size(int(layout.options["columns"]), int(layout.options["rows"]))
        stored = _decoded(file, known, frame)
    bits = layout.options.get("bits_stored") or 16
    if layout.options.get("photometric_interpretation") == "PALETTE COLOR":
        stored, bits = _coloured(stored, header or read_header(path)[0])
    if stored.ndim == 3:
        image = Image.fromarray((stored >> max(bits - 8, 0)).astype(np.uint8))
    elif layout.has_tables:
        image = shown(stored, Display.of(header, frame), as_shown, header)
    else:
        image = shown(stored, layout.display, as_shown)
    if not square:
        return image
    return made_square(image, (aspect_of(header, frame) if layout.has_tables else layout.aspect, 1))


def _coloured(stored: NDArray[Any], header: Any) -> tuple[NDArray[Any], int]:
    """(h, w, 3) through the palette, and the bits of its colours: 8 where it claims 16 and has none above 255."""
    apply = pydicom().pixels.apply_color_lut
    colours = apply(stored, header)
    if colours.dtype.itemsize == 1:
        return colours, 8
    n_entries, first = (int(one) for one in header.RedPaletteColorLookupTableDescriptor[:2])
    entries = apply(np.arange(first, first + (n_entries or 2**16))[None], header)
    return colours, 16 if int(entries.max()) > 255 else 8


@lru_cache(maxsize=2)
def _header(path: Path, size: int, changed: int) -> tuple[Any, Pixels]:
    """The header of a file of this size and time, kept until others are asked for: frames are read one by one."""
    header, pixels = read_header(path)
    if pixels is None:
        if "EncryptedAttributesSequence" in header:
            raise DataError("its pixels are encrypted", hint="decrypt it where the key is")
        what = header.get("Modality") or "no modality"
        raise DataError(f"it has no pixels ({what})", hint="leave it out: mep lint RECIPE --fix exclude.txt")
    return header, pixels


def _decoded(file: IO[bytes], pixels: Pixels, frame: int) -> NDArray[Any]:
    """(h, w) or (h, w, 3) of one frame; only that frame is read."""
    layout, package = pixels.layout, pydicom()
    n_frames = layout.options["number_of_frames"]
    if frame >= n_frames:
        raise DataError(f"it has {n_frames} frames, no number {frame + 1}", hint="was the file replaced?")
    if (native := _native(file, pixels, frame)) is not None:
        return native
    if not layout.syntax:
        raise DataError("it does not say how its pixels are stored: no TransferSyntaxUID", hint="export it again")
    if pixels.start < 0:
        return np.asarray(package.pixels.pixel_array(package.dcmread(file.name), index=frame))
    file.seek(pixels.start)
    is_whole = n_frames == 1 and not package.uid.UID(layout.syntax).is_encapsulated
    try:
        decoder = package.pixels.get_decoder(layout.syntax)
        source = file.read(pixels.length) if is_whole else file  # the library checks the length of what is whole
        return np.asarray(decoder.as_array(source, index=frame, **layout.options)[0])
    except ValueError as error:
        if "less than expected" in str(error):
            raise DataError("it is cut off: its pixels are not all there", hint="export it again") from error
        raise
    except (RuntimeError, NotImplementedError) as error:
        compression = package.uid.UID(layout.syntax).name.partition(",")[0]
        raise DataError(f"compressed as {compression}, {_what_is_missing(compression)}") from error


def _native(file: IO[bytes], pixels: Pixels, frame: int) -> NDArray[Any] | None:
    """(h, w) of a grey frame that is not compressed, in a third of the time of pydicom's decoder; else None."""
    options, dtype = pixels.layout.options, pixels.layout.dtype
    height, width, n_bits = (int(options.get(name) or 0) for name in ("rows", "columns", "bits_allocated"))
    n_bytes = height * width * n_bits // 8
    if not dtype or pixels.start < 0 or (frame + 1) * n_bytes > pixels.length:
        return None
    file.seek(pixels.start + frame * n_bytes)
    stored = np.frombuffer(file.read(n_bytes), dtype).reshape(height, width)
    unused = n_bits - int(options["bits_stored"])
    return stored << unused >> unused if unused else stored


def _what_is_missing(compression: str) -> str:
    packages = next((wanted for start, wanted in DECODERS.items() if compression.startswith(start)), {})
    missing = [package for module, package in packages.items() if find_spec(module) is None]
    return f"which needs: pip install {' '.join(missing)}" if missing else "and does not decode"
