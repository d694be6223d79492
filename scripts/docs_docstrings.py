"""Lets aligned lines of docstrings keep their spaces on the docs site: an extension of Griffe, which reads the code."""

import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))

from docs_pages import aligned_as_code


class AlignedDocstrings(griffe.Extension):
    """Turns "name   shape   meaning" lines into blocks."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = aligned_as_code(obj.docstring.value)
