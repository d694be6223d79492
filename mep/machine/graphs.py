"""Compiled graphs of a model: kept in the cache of the runs, and made only where they pay."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

LOG = logging.getLogger(__name__)
FOLDERS = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
"""Variables of the compilers that name where they keep what they made."""


def compile_graphs(module: "nn.Module", device: str, cache: Path | None = None) -> bool:
    """Compile a module in place where the device is a GPU; whether it was. On a CPU it costs a minute and more.

    cache   where graphs are kept, so that the next process need not make them; a folder of the user's own by default
    """
    if not device.startswith("cuda"):
        LOG.warning("machine.compile is for GPUs: on %s a model is faster begun than compiled, and is not", device)
        return False
    if cache is not None:
        for variable, name in FOLDERS.items():
            os.environ.setdefault(variable, str(cache / name))
    for part in repeated_blocks(module) or [module]:
        part.compile(dynamic=False)
    return True


def repeated_blocks(module: "nn.Module") -> list["nn.Module"]:
    """Blocks of one structure that a model is built of, by the names that classes of diffusers give them."""
    names = {name for part in module.modules() for name in getattr(part, "_repeated_blocks", None) or ()}
    return [part for part in module.modules() if type(part).__name__ in names]
