"""The library that reads DICOM, and the files that it reads."""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

from mep.machine.extras import library

PREFIX = b"DICM"


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
