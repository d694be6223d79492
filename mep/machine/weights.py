"""Files of weights that lie on the disk: are they whole?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mep.errors import DataError
from mep.machine.files import refuse_special

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 100_000_000
"""Bytes; the safetensors library refuses longer ones, too."""
AGAIN = "fetch the model again, or copy it whole"


def check_whole(path: Path, field: str) -> None:
    """DataError where a safetensors file is cut short, or is none. Only its header is read.

    field   of the recipe that names it
    Source  the format: 8 bytes length of the header, the header in JSON, the tensors at its `data_offsets`
    """
    refuse_special(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, MAX_HEADER))
    try:
        if length > MAX_HEADER:
            raise ValueError(f"its header claims {length} bytes")
        tensors = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        message = f"{path} is cut short: {size:,} bytes, and its header alone takes {8 + length:,}"
        if size >= 8 + length:
            message = f"{path} is no safetensors file: {error}"
        raise DataError(message, hint=AGAIN, field=field) from error
    if size < 8 + length + end:
        raise DataError(f"{path} is cut short: {size:,} of {8 + length + end:,} bytes", hint=AGAIN, field=field)


def check_folder_whole(folder: Path, field: str) -> None:
    """The same for every safetensors file of a folder, and whether the parts that an index names are there."""
    for index in sorted(folder.glob("*.safetensors.index.json")):
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if absent := sorted(name for name in named if not (folder / name).is_file()):
            raise DataError(f"{folder} lacks {absent[0]}, which {index.name} names", hint=AGAIN, field=field)
    for path in sorted(folder.glob("*.safetensors")):
        check_whole(path, field)


def tensors_in(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, with their shapes and without their content (meta)."""
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118  it is no mapping
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
