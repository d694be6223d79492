"""Libraries that need torchvision. PyPI's wheel is built against CUDA: beside a CPU build of torch its C extension
cannot load, and the import ends with "operator torchvision::nms does not exist" until the missing ones are declared."""

import importlib.util

_declared: list[object] = []


def is_installed(package: str) -> bool:
    """Whether a package can be imported; none is. Caches that an uninstalled one has left behind do not count."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def prepare_libraries() -> None:
    """Make diffusers and transformers importable beside a CPU build of torch, and keep their bars off the screen."""
    declare_missing_operators()
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()  # it warns of parts that are left out here on purpose
    transformers.utils.logging.disable_progress_bar()


def declare_missing_operators() -> bool:
    """Declare torchvision's operators where its C extension cannot load; True when that was needed."""
    import torch

    if _declared:
        return True
    if hasattr(torch.ops.torchvision, "nms") or _extension_loads():
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)  # the declaration lives as long as the object
    return True


def _extension_loads() -> bool:
    """Whether torchvision's own extension registers its operators, or torchvision is absent."""
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
