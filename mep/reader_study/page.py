"""The page that readers get: one file, no network, nothing in it that tells real from synthetic but the pixels."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from mep.machine.files import write_text
from mep.reader_study.study import Study

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_page(study: Study, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page(study))


def page(study: Study) -> str:
    from jinja2 import Environment

    script = _template("study.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_template("study.html.j2")).render(
        study=study.id,
        n_images=len(study.items),
        size_px=study.size_px,
        style=_template("study.css"),
        script=script,
        script_digest=digest,
        images=json.dumps([f"data:image/png;base64,{png(item.pixels)}" for item in study.items]),
    )


def png(pixels: NDArray[np.uint8]) -> str:
    """Base64 of a PNG without compression and metadata: of images of one size all have the same length.

    Compressed, smooth synthetic images would be shorter than real ones, for everybody to see in the source.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=0)
    return base64.b64encode(buffer.getvalue()).decode()


def _template(name: str) -> str:
    return (resources.files("mep.reader_study") / "templates" / name).read_text(encoding="utf-8")
