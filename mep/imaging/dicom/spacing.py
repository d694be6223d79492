"""How high a pixel of a DICOM file is beside its width."""

from typing import Any

from mep.imaging.dicom.grey import of_frame

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
"""Millimetres between rows and between columns: in the patient, on the detector, on the film that was scanned."""
RATIO = "PixelAspectRatio"
"""Height and width in units of nothing, where no distance is known."""
SQUARE = 0.01
"""Share by which a pixel that counts as square may be higher than wide: a measured distance has its digits."""


def aspect_of(header: Any, frame: int) -> float:
    """Height of a pixel of a frame over its width; 1 where the header says nothing, or nothing that can be."""
    for name in (*SPACINGS, RATIO):
        try:
            value = of_frame(header, frame, "PixelMeasuresSequence", name)
            height, width = (float(one) for one in value or ())
        except (TypeError, ValueError):  # there is none, or it is no pair of numbers
            continue
        if height > 0 and width > 0:
            return height / width
    return 1.0


def is_square(aspect: float) -> bool:
    return abs(aspect - 1) <= SQUARE
