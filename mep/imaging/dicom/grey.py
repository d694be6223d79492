"""From stored grey to what is shown of it: rescaled, through a window or a table, MONOCHROME1 inverted."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Display:
    """How stored values become a grey: what the header says of it.

    window      centre, width and function, None without one
    """

    bits: int
    is_signed: bool
    slope: float
    intercept: float
    window: tuple[float, float, str] | None
    is_inverted: bool

    @classmethod
    def of(cls, header: Any, frame: int) -> Self:
        """What the header says of a frame."""
        centre, width = (
            _first(of_frame(header, frame, "FrameVOILUTSequence", name)) for name in ("WindowCenter", "WindowWidth")
        )
        function = str(of_frame(header, frame, "FrameVOILUTSequence", "VOILUTFunction") or "LINEAR").upper()
        rescale = (("PixelValueTransformationSequence", name) for name in ("RescaleSlope", "RescaleIntercept"))
        slope, intercept = (of_frame(header, frame, *names) for names in rescale)
        table = header.get("ModalityLUTSequence")
        return cls(
            bits=int(table[0].LUTDescriptor[2] if table else header.get("BitsStored") or 16),
            is_signed=header.get("PixelRepresentation") == 1 and not table,
            slope=float(1 if slope is None or table else slope),
            intercept=float(0 if intercept is None or table else intercept),
            window=_window(centre, width, function),
            is_inverted=header.get("PhotometricInterpretation") == "MONOCHROME1",
        )

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


def shown(stored: NDArray[Any], display: Display, as_shown: bool, header: Any = None) -> "Image":
    """Stored grey (h, w) as an image.

    as_shown    through window or table to 8 bits, where there is one; False: as it was measured
    header      of the file, where it may hold tables

    DataError   rescaling leaves one value
    """
    from PIL import Image

    if display.slope == 0:
        hint = "export it again, or leave it out: mep lint RECIPE --fix exclude.txt"
        raise DataError("its RescaleSlope is 0, so that all its values are one", hint=hint)
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    has_tables = header is not None and bool(header.get("ModalityLUTSequence") or header.get("VOILUTSequence"))
    is_small = stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2
    if as_shown and is_small and not has_tables and (display.window or display.is_plain):
        table, unsigned = _table(display, stored.dtype.itemsize), stored.view(f"u{stored.dtype.itemsize}")
        if table is None:
            return Image.fromarray(unsigned)
        return Image.fromarray(table.take(unsigned, mode="clip"))  # no value lies outside; it spares the check
    values = _measured(stored, header, display)
    if as_shown and has_tables and header.get("VOILUTSequence"):
        highest = 2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1
        share = _looked_up(values, header, "VOILUTSequence") / highest
        return Image.fromarray(_black_to_white(share, display))
    if as_shown and display.window:
        return Image.fromarray(_windowed(values, display))
    return Image.fromarray(_deep(sum(display.bounds) - values if display.is_inverted else values))


def of_frame(header: Any, frame: int, group: str, name: str) -> Any:
    """A value of a frame: of the frame's own functional group, of that of all frames, of the file."""
    names = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
    own, shared = (header.get(one) if one in header else None for one in names)
    for item in ((own[frame] if own and frame < len(own) else None), (shared[0] if shared else None)):
        if item is not None and item.get(group) and item[group][0].get(name) is not None:
            return item[group][0].get(name)
    return header.get(name)


def _first(value: Any) -> float | None:
    """The first of the alternative views of an image, as viewers show it."""
    values = [value] if value is None or isinstance(value, str | float | int) else list(value)
    return float(values[0]) if values and values[0] is not None and str(values[0]) != "" else None


def _window(centre: float | None, width: float | None, function: str) -> tuple[float, float, str] | None:
    """A window that can be looked through. One that is not wider than 0 is none; a linear one needs a width of 1, since
    it is one narrower than it says (PS3.3, C.11.2.1.2): where it says less, its ends are meant as they are."""
    if centre is None or width is None or not width > 0:
        return None
    return centre, width, "LINEAR_EXACT" if function == "LINEAR" and width < 1 else function


@lru_cache(maxsize=64)
def _table(display: Display, itemsize: int) -> NDArray[np.uint8] | None:
    """uint8 of every value that can be stored, in the order of its bits (two's complement): 256 or 65,536. None where
    each is shown as it is."""
    stored = np.arange(2 ** (8 * itemsize))
    if display.is_signed:
        stored = stored.astype(f"u{itemsize}").view(f"i{itemsize}").astype(np.int64)
    else:
        stored &= 2**display.bits - 1  # what stands above the bits that are used may be an overlay
    table = _windowed(stored * display.slope + display.intercept, display)
    return None if np.array_equal(table, np.arange(256)) else table


def _windowed(values: NDArray[Any], display: Display) -> NDArray[np.uint8]:
    """uint8 through the window (PS3.3, C.11.2.1.2 and C.11.2.1.3), or through all values that can be stored."""
    values = values.astype(np.float64)
    if display.window is None:
        low, high = display.bounds
        share = (values - low) / (high - low)
    else:
        centre, width, function = display.window
        if function == "SIGMOID":
            share = 1 / (1 + np.exp(-4 * (values - centre) / width))
        elif function == "LINEAR_EXACT":
            share = (values - centre) / width + 0.5
        else:
            share = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return _black_to_white(share, display)


def _black_to_white(share: NDArray[np.float64], display: Display) -> NDArray[np.uint8]:
    share = np.clip(share, 0, 1)
    return np.round((1 - share if display.is_inverted else share) * 255).astype(np.uint8)


def _measured(stored: NDArray[Any], header: Any, display: Display) -> NDArray[Any]:
    """Rescaled, or through the table of the modality."""
    if header is not None and header.get("ModalityLUTSequence"):
        return _looked_up(stored, header, "ModalityLUTSequence")
    if (display.slope, display.intercept) == (1, 0):
        return stored
    return stored * display.slope + display.intercept


def _looked_up(values: NDArray[Any], header: Any, keyword: str) -> NDArray[np.integer[Any]]:
    """Values through a table of the header: the first entry for those below it, the last for those above (PS3.3,
    C.11.1.1). pydicom's own way keeps 8 bits of each value where the entries have 8 (3.0.2)."""
    table = header[keyword].value[0]
    n_entries, first, bits = (int(one) for one in table.LUTDescriptor)
    entries, order = table.LUTData, "<" if header.original_encoding[1] else ">"
    if isinstance(entries, bytes):  # two bytes an entry, unless there are not so many
        entries = np.frombuffer(entries, f"{order}u2" if len(entries) >= 2 * (n_entries or 2**16) else "u1")
    entries = np.asarray(entries)[: n_entries or 2**16].astype(np.uint8 if bits <= 8 else np.uint16)
    return np.asarray(entries[np.clip(values.astype(np.int64) - first, 0, len(entries) - 1)])


def _deep(values: NDArray[Any]) -> NDArray[Any]:
    """As Pillow holds deep grey: uint16 or int32 for whole numbers, else float32."""
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values, dtype=np.uint16)  # of this machine's byte order
    if np.issubdtype(values.dtype, np.integer) and values.dtype.itemsize <= 2:
        return values.astype(np.int32)
    is_whole = bool((values == np.round(values)).all()) and float(np.abs(values).max()) < 2**31
    return values.astype(np.int32 if is_whole else np.float32)
