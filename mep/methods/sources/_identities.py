"""Who a DICOM file is about: what never leaves it, and numbers in its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

NAMING = ("PatientID", "PatientName", "AccessionNumber", "PatientBirthDate", "OtherPatientIDs", "StudyID")
"""Tags by which a file name or a folder may name a person."""
GROUPS = (
    *("PatientID", "AccessionNumber", "StudyID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("DeviceSerialNumber", "StationName", "InstitutionName"),
)
"""Tags that say which images belong together; a number stands in the place of each value."""
PLAIN_VRS = ("CS", "AS", "DS", "IS", "FD", "FL", "SL", "SS", "UL", "US")
"""Value representations that hold a code or a number, never a name, a date or free text."""
PLAIN = ("Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "SoftwareVersions", "ContrastBolusAgent")
"""Tags of free text that are about the machine."""
OLDEST = 90  # years; higher ages identify (45 CFR 164.514(b)(2)(i)(C)) and are told as 90


def why_not(tag: str) -> str:
    """Why the value of a tag may not leave its file; empty where it may, or where a number stands in its place."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    number = tag_for_keyword(tag)
    if number is None:
        return "is no DICOM keyword"
    if tag in (*GROUPS, *PLAIN) or dictionary_VR(number) in PLAIN_VRS:
        return ""
    return "may identify a person"


def plain(value: Any) -> object:
    """A value of a tag as text, a number, or None; an age in years."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, str):
        return _years(value) if _is_age(value) else value.strip() or None
    parts = [str(part) for part in value]
    return "\\".join(parts) or None


def _is_age(value: str) -> bool:
    return len(value) == 4 and value[:3].isdigit() and value[3] in "DWMY"


def _years(age: str) -> float:
    """Of an age such as 061Y or 018M."""
    per_year = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}
    return min(round(int(age[:3]) / per_year[age[3]], 2), float(OLDEST))


def numbered(values: Iterable[object]) -> list[str | None]:
    """00001, 00002, ... in the order of their first appearance: nothing of a value can be computed from its number."""
    numbers: dict[str, str] = {}
    texts = ("" if value is None else str(value) for value in values)
    return [numbers.setdefault(text, f"{len(numbers) + 1:05d}") if text else None for text in texts]


def named_in(path: str, values: dict[str, str]) -> str:
    """The tag whose value stands in a path; empty where none does. Values of fewer than four characters are ignored.

    values      text of the tags NAMING
    """
    folded = path.casefold()
    for tag in NAMING:
        value = values.get(tag, "")
        parts = value.replace("=", "^").split("^") if tag == "PatientName" else [value]
        if any(len(part) >= 4 and part.casefold() in folded for part in map(str.strip, parts)):
            return tag
    return ""
