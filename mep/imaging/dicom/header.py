"""The header of a DICOM file, and what of it says how its pixels lie and are shown."""

import os
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import IO, Any, Literal

from mep.errors import DataError
from mep.imaging.dicom.grey import Display
from mep.imaging.dicom.library import pydicom
from mep.imaging.dicom.spacing import RATIO, SPACINGS, aspect_of
from mep.machine.files import refuse_special

ENVELOPED = bytes.fromhex("2a864886f70d010703")  # 1.2.840.113549.1.7.3, how a Secure DICOM file begins (PS3.15, B.4)
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
"""Transfer syntaxes without compression, lowest byte first."""
DEFLATED = "1.2.840.10008.1.2.1.99"
PIXEL_VRS = (b"OB", b"OW", b"OF", b"OD", b"UN")  # how values of pixels may be represented
LARGE = 2**20  # bytes of a value that is read only when it is asked for

READ = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(*SPACINGS, RATIO),
)
"""Tags that say how pixels are stored and shown; none is about a patient."""
TABLES = (
    *("ModalityLUTSequence", "VOILUTSequence"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"),
)
"""Tags whose tables, or values for each frame, are looked up in the header when a frame is shown."""


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """How pixels are stored and shown. The files of a series share one.

    syntax      UID of the transfer syntax, empty where the file does not say
    options     of pydicom's decoders: rows, columns, number_of_frames, bits_stored, ...
    dtype       of grey that is not compressed; empty where a decoder is needed
    display     how stored grey is shown, but for tables and values of single frames
    has_tables  does showing need the header?
    aspect      height of a pixel over its width, but for those of single frames
    """

    syntax: str
    options: dict[str, Any]
    dtype: str
    display: Display
    has_tables: bool
    aspect: float


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where the pixels of a file lie: enough to read a frame without reading the header again.

    start       first byte; -1 where pydicom is left to find it, as in a file that is compressed as a whole
    length      bytes, to the end of the file where it does not say
    size        bytes of the file
    changed     when it was written, in ns
    """

    layout: Layout
    start: int
    length: int
    size: int
    changed: int

    def are_of(self, file: os.stat_result) -> bool:
        """Is the file the one that was read?"""
        return (self.size, self.changed) == (file.st_size, file.st_mtime_ns)


def read_header(path: Path) -> tuple[Any, Pixels | None]:
    """The data set of a file without its pixels, and where these lie; None where it has none.

    DataError   empty, encrypted as a whole, or no DICOM
    """
    package = pydicom()
    refuse_special(path)
    with path.open("rb") as file:
        try:
            header = package.dcmread(file, stop_before_pixels=True, defer_size=LARGE)
        except package.errors.InvalidDicomError as error:
            file.seek(0)
            raise _refusal(file.read(132)) from error
        return header, _pixels(file, header)


def _refusal(start: bytes) -> DataError:
    if not start:
        return DataError("the file is empty", hint="export it again")
    if ENVELOPED in start:
        return DataError("encrypted as a whole (PKCS 7)", hint="decrypt it where the key is")
    return DataError("no DICOM: the prefix DICM is missing", hint="export it again as a DICOM file")


def _pixels(file: IO[bytes], header: Any) -> Pixels | None:
    """Of a file that stands where its pixels begin."""
    if raw(header, "Rows") is None or raw(header, "Columns") is None:
        return None
    stat = os.fstat(file.fileno())
    syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
    start, length, more = -1, stat.st_size, {"pixel_keyword": "PixelData"}
    if syntax != DEFLATED:
        is_implicit, is_little = header.original_encoding
        order: Literal["little", "big"] = "little" if is_little else "big"
        element = file.read(8 if is_implicit else 12)  # tag, and where it is explicit the kind of values; length
        tag = tuple(int.from_bytes(element[at : at + 2], order) for at in (0, 2))
        if not pydicom().datadict.keyword_for_tag(tag).endswith("PixelData"):
            return None
        kind = b"OW" if is_implicit else element[4:6]
        if kind in PIXEL_VRS:  # else it is not written as it says
            more = {"pixel_keyword": pydicom().datadict.keyword_for_tag(tag), "pixel_vr": kind.decode()}
            start = file.tell()
            length = min(int.from_bytes(element[-4:], order), stat.st_size - start)
    known = (raw(header, keyword) for keyword in READ)
    elements = tuple(element._replace(value_tell=0) for element in known if element is not None and element.value)
    has_tables = any(raw(header, keyword) is not None for keyword in TABLES)
    layout = _layout(syntax, elements, tuple(more.items()), has_tables)
    return Pixels(layout, start, length, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _layout(syntax: str, elements: tuple[Any, ...], more: tuple[tuple[str, str], ...], has_tables: bool) -> Layout:
    """elements     as pydicom reads them, not yet converted: most files of a series have the same"""
    data = pydicom().Dataset({element.tag: element for element in elements})
    options = pydicom().pixels.as_pixel_options(data) | dict(more)
    return Layout(syntax, options, _dtype(syntax, options), Display.of(data, 0), has_tables, aspect_of(data, 0))


def _dtype(syntax: str, options: dict[str, Any]) -> str:
    n_bits, n_used = options.get("bits_allocated"), options.get("bits_stored") or 0
    is_grey = options.get("samples_per_pixel") == 1 and options.get("pixel_keyword") == "PixelData"
    if syntax not in NATIVE or not is_grey or n_bits not in (8, 16) or not 1 <= n_used <= n_bits:
        return ""
    return f"<{'i' if options.get('pixel_representation') else 'u'}{n_bits // 8}"


def raw(header: Any, keyword: str) -> Any:
    """An element as it was read, in a tenth of the time that its conversion takes; None where there is none. Its value
    is None where it is empty, or large."""
    return header.get_item(_tag(keyword), keep_deferred=True)


@cache
def _tag(keyword: str) -> Any:
    return pydicom().tag.Tag(keyword)


def text_of(header: Any, keyword: str) -> str:
    """The value of a tag of text, stripped; empty without one."""
    element = raw(header, keyword)
    value = None if element is None else element.value
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")).strip("\0 ")
