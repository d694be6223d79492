"""A DICOM file as an image: decoded, rescaled, seen through its window, dark where it is black."""

import warnings
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.imaging.pixels import refuse_size
from mep.machine.extras import library
from mep.machine.files import refuse_special

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = b"DICM"
ENVELOPED = bytes.fromhex("2a864886f70d010703")  # 1.2.840.113549.1.7.3, how a Secure DICOM file begins (PS3.15, B.4)
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
"""Transfer syntaxes without compression, lowest byte first."""
DECODERS = {
    "JPEG Extended": {"pylibjpeg": "pylibjpeg", "libjpeg": "pylibjpeg-libjpeg"},
    "JPEG Lossless": {"gdcm": "python-gdcm"},
    "JPEG-LS": {"gdcm": "python-gdcm"},
    "JPEG 2000": {"pylibjpeg": "pylibjpeg", "openjpeg": "pylibjpeg-openjpeg"},
    "High-Throughput JPEG 2000": {"pylibjpeg": "pylibjpeg", "openjpeg": "pylibjpeg-openjpeg"},
}
"""How the name of a transfer syntax begins, and the packages that decode it by their modules."""


@cache
def pydicom() -> Any:
    """The library, set to read values as they are: it would warn of each that breaks the standard, with the value."""
    package = library("pydicom", "pydicom", "dicom")
    package.config.settings.reading_validation_mode = package.config.IGNORE
    warnings.filterwarnings("ignore", module="pydicom")
    return package


def is_dicom(path: Path) -> bool:
    """Whether a file has the prefix that every DICOM file has behind its first 128 bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == PREFIX


def read_header(path: Path, **settings: Any) -> Any:
    """The data set of a file; settings go to `pydicom.dcmread`.

    DataError   empty, encrypted as a whole, or no DICOM
    """
    package = pydicom()
    refuse_special(path)
    try:
        return package.dcmread(path, **settings)
    except package.errors.InvalidDicomError as error:
        with path.open("rb") as file:
            start = file.read(132)
        if not start:
            raise DataError("the file is empty", hint="export it again") from error
        if ENVELOPED in start:
            raise DataError("encrypted as a whole (PKCS 7)", hint="decrypt it where the key is") from error
        raise DataError("no DICOM: the prefix DICM is missing", hint="export it again as a DICOM file") from error


def text_of(header: Any, keyword: str) -> str:
    """The value of a tag of text, stripped, in a tenth of the time that its conversion takes; empty without one."""
    item = header.get_item(keyword)
    value = None if item is None else item.value
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")).strip("\0 ")


def open_dicom(path: Path, frame: int = 0, *, as_shown: bool = True) -> "Image":
    """A frame as an image.

    frame       from 0
    as_shown    grey through the header's window or VOI table to 8 bits, where it has one; False: as it was measured,
                rescaled to the modality's unit, such as Hounsfield units

    returns     mode L or RGB; I;16, I or F for grey that has more than 8 bits and no window. MONOCHROME1 is inverted:
                larger is brighter

    DataError   no pixels, no decoder for their compression, a frame that is not there
    """
    from PIL import Image

    data = read_header(path, defer_size=2**20)
    if "Rows" not in data or "Columns" not in data:
        what = data.get("Modality") or "no modality"
        raise DataError(f"it has no pixels ({what})", hint="leave it out: mep lint RECIPE --fix exclude.txt")
    refuse_size(int(data.Columns), int(data.Rows))
    stored = _decoded(path, data, frame)
    photometric = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        stored = pydicom().pixels.apply_color_lut(stored, data)
        return Image.fromarray(_eight_bits(stored, 8 * stored.dtype.itemsize))
    if stored.ndim == 3:
        return Image.fromarray(_eight_bits(stored, int(data.BitsStored)))
    return _grey(stored, data, frame, as_shown)


def _decoded(path: Path, data: Any, frame: int) -> NDArray[Any]:
    """(h, w) or (h, w, 3) of one frame; only that frame is read."""
    n_frames = int(data.get("NumberOfFrames") or 1)
    if frame >= n_frames:
        raise DataError(f"it has {n_frames} frames, no number {frame + 1}", hint="was the file replaced?")
    if n_frames == 1 and (native := _native(data)) is not None:
        return native
    try:
        source = data if n_frames == 1 else path
        return np.asarray(pydicom().pixels.pixel_array(source, index=frame))
    except (RuntimeError, NotImplementedError) as error:
        compression = data.file_meta.TransferSyntaxUID.name.partition(",")[0]
        raise DataError(f"compressed as {compression}, {_what_is_missing(compression)}") from error


def _native(data: Any) -> NDArray[Any] | None:
    """(h, w) of a grey frame that is not compressed, in a third of the time of pydicom's decoder; else None."""
    if data.file_meta.get("TransferSyntaxUID") not in NATIVE or data.get("SamplesPerPixel") != 1:
        return None
    height, width, pixels = int(data.Rows), int(data.Columns), data.get("PixelData") or b""
    n_bits, n_used = data.get("BitsAllocated"), data.get("BitsStored") or 0
    if n_bits not in (8, 16) or not 1 <= n_used <= n_bits or 8 * len(pixels) < height * width * n_bits:
        return None
    dtype = f"<{'i' if data.get('PixelRepresentation') else 'u'}{n_bits // 8}"
    stored = np.frombuffer(pixels, dtype, height * width).reshape(height, width)
    unused = n_bits - n_used
    return stored << unused >> unused if unused else stored


def _what_is_missing(compression: str) -> str:
    packages = next((wanted for start, wanted in DECODERS.items() if compression.startswith(start)), {})
    missing = [package for module, package in packages.items() if find_spec(module) is None]
    return f"which needs: pip install {' '.join(missing)}" if missing else "and does not decode"


def _eight_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    return (values >> max(bits - 8, 0)).astype(np.uint8)


@dataclass(frozen=True)
class _Display:
    """How stored values become a grey: what the header says of it.

    window      centre, width and function, None without one
    """

    bits: int
    is_signed: bool
    slope: float
    intercept: float
    window: tuple[float, float, str] | None
    is_inverted: bool

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and highest value that can be stored, rescaled."""
        low, high = (-(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1) if self.is_signed else (0, 2**self.bits - 1)
        ends = low * self.slope + self.intercept, high * self.slope + self.intercept
        return min(ends), max(ends)

    @property
    def is_plain(self) -> bool:
        """Is it an ordinary image of at most 8 bits, which needs no window?"""
        return self.bits <= 8 and not self.is_signed and (self.slope, self.intercept) == (1, 0)


def _grey(stored: NDArray[Any], data: Any, frame: int, as_shown: bool) -> "Image":
    from PIL import Image

    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    display = _display(stored, data, frame)
    has_tables = bool(data.get("ModalityLUTSequence") or data.get("VOILUTSequence"))
    is_small = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2
    if as_shown and is_small and not has_tables and (display.window or display.is_plain):
        table, unsigned = _table(display, stored.dtype.itemsize), stored.view(f"u{stored.dtype.itemsize}")
        if np.array_equal(table, np.arange(256)):
            return Image.fromarray(unsigned)
        return Image.fromarray(table.take(unsigned, mode="clip"))  # no value lies outside; it spares the check
    values = _measured(stored, data, display)
    if as_shown and data.get("VOILUTSequence"):
        highest = 2 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
        shown = np.asarray(pydicom().pixels.apply_voi(values.astype(np.int64), data)) / highest
        return Image.fromarray(_black_to_white(shown, display))
    if as_shown and display.window:
        return Image.fromarray(_windowed(values, display))
    return Image.fromarray(_deep(sum(display.bounds) - values if display.is_inverted else values))


def _display(stored: NDArray[Any], data: Any, frame: int) -> _Display:
    centre, width = (
        _first(_of_frame(data, frame, "FrameVOILUTSequence", name)) for name in ("WindowCenter", "WindowWidth")
    )
    function = str(_of_frame(data, frame, "FrameVOILUTSequence", "VOILUTFunction") or "LINEAR").upper()
    rescale = (("PixelValueTransformationSequence", name) for name in ("RescaleSlope", "RescaleIntercept"))
    slope, intercept = (_of_frame(data, frame, *names) for names in rescale)
    table = data.get("ModalityLUTSequence")
    return _Display(
        bits=int(table[0].LUTDescriptor[2] if table else data.get("BitsStored") or 16),
        is_signed=stored.dtype.kind == "i" and not table,
        slope=float(1 if slope is None or table else slope),
        intercept=float(0 if intercept is None or table else intercept),
        window=None if centre is None or width is None else (centre, width, function),
        is_inverted=data.get("PhotometricInterpretation") == "MONOCHROME1",
    )


def _of_frame(data: Any, frame: int, group: str, name: str) -> Any:
    """A value of a frame: of the frame's own functional group, of that of all frames, of the file."""
    names = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
    own, shared = (data.get(one) if one in data else None for one in names)
    for item in ((own[frame] if own and frame < len(own) else None), (shared[0] if shared else None)):
        if item is not None and item.get(group) and item[group][0].get(name) is not None:
            return item[group][0].get(name)
    return data.get(name)


def _first(value: Any) -> float | None:
    """The first of the alternative views of an image, as viewers show it."""
    values = [value] if value is None or isinstance(value, str | float | int) else list(value)
    return float(values[0]) if values and values[0] is not None and str(values[0]) != "" else None


@lru_cache(maxsize=64)
def _table(display: _Display, itemsize: int) -> NDArray[np.uint8]:
    """uint8 of every value that can be stored, in the order of its bits (two's complement): 256 or 65,536."""
    stored = np.arange(2 ** (8 * itemsize))
    if display.is_signed:
        stored = stored.astype(f"u{itemsize}").view(f"i{itemsize}").astype(np.int64)
    else:
        stored &= 2**display.bits - 1  # what stands above the bits that are used may be an overlay
    return _windowed(stored * display.slope + display.intercept, display)


def _windowed(values: NDArray[Any], display: _Display) -> NDArray[np.uint8]:
    """uint8 through the window (PS3.3, C.11.2.1.2 and C.11.2.1.3), or through all values that can be stored."""
    values = values.astype(np.float64)
    if display.window is None:
        low, high = display.bounds
        share = (values - low) / (high - low)
    else:
        centre, width, function = display.window
        if function == "SIGMOID":
            share = 1 / (1 + np.exp(-4 * (values - centre) / max(width, 1e-6)))
        elif function == "LINEAR_EXACT":
            share = (values - centre) / max(width, 1e-6) + 0.5
        else:
            share = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return _black_to_white(share, display)


def _black_to_white(share: NDArray[np.float64], display: _Display) -> NDArray[np.uint8]:
    share = np.clip(share, 0, 1)
    return np.round((1 - share if display.is_inverted else share) * 255).astype(np.uint8)


def _measured(stored: NDArray[Any], data: Any, display: _Display) -> NDArray[Any]:
    """Rescaled, or through the table of the modality."""
    if data.get("ModalityLUTSequence"):
        return np.asarray(pydicom().pixels.apply_modality_lut(stored, data))
    if (display.slope, display.intercept) == (1, 0):
        return stored
    return stored * display.slope + display.intercept


def _deep(values: NDArray[Any]) -> NDArray[Any]:
    """As Pillow holds deep grey: uint16 or int32 for whole numbers, else float32."""
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values, dtype=np.uint16)  # of this machine's byte order
    if np.issubdtype(values.dtype, np.integer) and values.dtype.itemsize <= 2:
        return values.astype(np.int32)
    is_whole = bool((values == np.round(values)).all()) and float(np.abs(values).max()) < 2**31
    return values.astype(np.int32 if is_whole else np.float32)
