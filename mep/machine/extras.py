"""Libraries that come with an extra of mep, and what to install where one is missing."""

import importlib
from typing import Any

from mep.errors import EnvironmentLacks


def library(module: str, package: str, extra: str) -> Any:
    """The module; EnvironmentLacks where its package is not installed, with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EnvironmentLacks(
            f"the package {package} is missing ({error})", hint=f"pip install 'mep[{extra}]', or: pip install {package}"
        ) from error
