"""The page that readers get: one file, no network, nothing in it that tells real from synthetic but the pixels."""

import base64
import hashlib
import io
import json
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from mep.reader_study.study import Study


def page(study: Study) -> str:
    from jinja2 import Environment

    script = _template("study.js")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_template("study.html.j2")).render(
        study=study.id,
        n_images=len(study.items),
        size_px=study.size_px,
        types=_in_script(study.types),
        asks_type=bool(study.types),
        examples=_in_script({name: list(map(_uri, images)) for name, images in study.examples.items()}),
        style=_template("study.css"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        images=_in_script([_uri(item.pixels) for item in study.items]),
    )


def _in_script(value: object) -> str:
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def _uri(pixels: NDArray[np.uint8]) -> str:
    return f"data:image/png;base64,{_png(pixels)}"


def _png(pixels: NDArray[np.uint8]) -> str:
    """Base64 of a PNG without compression and metadata: of images of one size all have the same length.

    Compressed, smooth synthetic images would be shorter than real ones, for everybody to see in the source.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=0)
    return base64.b64encode(buffer.getvalue()).decode()


def _template(name: str) -> str:
    return (resources.files("mep.reader_study") / "templates" / name).read_text(encoding="utf-8")
