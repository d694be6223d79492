"""Let torchvision's wheel import beside a CPU build of torch.

The wheel on PyPI is built against CUDA. Beside a CPU build its C extension cannot load, so the operators that it
would register are unknown, and `import torchvision` ends with "operator torchvision::nms does not exist" although
transforms and models, all that clean-fid, timm and diffusers use, need none of them. Declaring the two operators
is enough.
"""

import importlib.util
from typing import Any

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[Any] = []


def declare_missing_operators() -> bool:
    """Declare torchvision's operators where its C extension cannot load; True when that was needed."""
    import torch

    if _declared:
        return True
    if hasattr(torch.ops.torchvision, "nms") or _extension_loads():
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)  # the declaration lives as long as the object
    return True


def _extension_loads() -> bool:
    """Whether torchvision's own extension registers its operators (or torchvision is absent, and nothing to mend)."""
    import torch

    package = importlib.util.find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return True
    extension = importlib.machinery.PathFinder.find_spec("_C", list(package.submodule_search_locations))
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")
