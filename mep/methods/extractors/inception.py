"""Inception-v3 as Clean-FID uses it: the only features whose Fréchet distance is called FID."""

from __future__ import annotations

import os
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mep.config import Download, HashFile, LocalPath
from mep.errors import DataError, EnvironmentLacks
from mep.machine.files import sha256_of
from mep.methods.extractors import Extractor, Network, clean_resize, clean_resizer, exact_arithmetic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts.score_row import JsonObject

FILE = "inception-2015-12-05.pt"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{FILE}"

SIDE_PX = 299
FEWEST_FOR_FID = 500
"""Images below which a Fréchet distance in 2,048 dimensions says so little that it keeps its plain name."""


class Inception(Extractor):
    """Inception-v3 of 2015 with Clean-FID's resizing (Parmar et al. 2022, arXiv:2104.11222).

    The weights are the TorchScript file that clean-fid and StyleGAN use. They are taken from `weights`, or from where
    clean-fid keeps them, or downloaded (96 MB), and refused where a byte differs. Images are resized to 299 pixels by
    clean-fid's own function: bicubic with anti-aliasing, in floating point, without rounding.
    """

    kind: Literal["inception"]
    weights: LocalPath | None = None
    """The file inception-2015-12-05.pt. Default: clean-fid's copy, or a download."""

    SHA256: ClassVar[str] = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
    BYTES: ClassVar[int] = 95_607_719
    """Of the file that NVIDIA publishes."""

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        path = self._known()
        return {"weights": self._checked(path, hash_file) if path else self.SHA256}

    def missing(self) -> Download | None:
        return None if self._known() else Download(FILE, self.SHA256[:12], self.BYTES)

    def require(self) -> None:
        self._file()

    def digest(self) -> str:
        return self.SHA256

    def protocol(self) -> JsonObject:
        return {
            "layer": "pool_3",
            "preprocessing": "(x - 128) / 128",
            "resize": clean_resize(SIDE_PX),
        }

    def metric_name(self, metric: str, n: int, settings: JsonObject) -> str:
        return "fid" if metric == "fd" and n >= FEWEST_FOR_FID else metric

    def load(self, device: str) -> Network:
        """The network in float32, TF32 and autocast off; DataError or EnvironmentLacks without the right file."""
        import torch

        path = self._file()
        self._checked(path, sha256_of)
        layers = torch.jit.load(str(path), map_location=device).eval().layers
        resized = clean_resizer(SIDE_PX)

        def forward(images: Any) -> NDArray[np.float32]:
            with exact_arithmetic(device):
                return np.asarray(layers(images.to(device)).flatten(1).cpu())

        return Network(lambda batch: resized(batch).sub_(128).div_(128), forward)

    def _checked(self, path: Path, hash_file: HashFile) -> str:
        """sha256 of the file; DataError where it is not that of the published one."""
        size = path.stat().st_size
        if size < self.BYTES:
            raise DataError(
                f"{path} holds {size} of {self.BYTES} bytes: its download was cut short",
                hint=f"delete it and fetch it again from {URL}",
                field="metrics.extractors",
            )
        sha256 = hash_file(path)
        if sha256 != self.SHA256:
            raise DataError(
                f"{path} is not the Inception of FID: its sha256 is {sha256[:16]}..., not {self.SHA256[:16]}...",
                hint=f"fetch {URL}",
                field="metrics.extractors",
            )
        return sha256

    def _known(self) -> Path | None:
        """The file, where it is on this machine."""
        if self.weights is not None:
            return self.weights
        places = cache_folder() / FILE, Path(tempfile.gettempdir()) / FILE  # the second is where clean-fid keeps it
        return next((path for path in places if path.exists()), None)

    def _file(self) -> Path:
        return self._known() or self._download(cache_folder() / FILE)

    def _download(self, path: Path) -> Path:
        """Fetch the file; it appears under its name only when it is whole and the right one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with urllib.request.urlopen(URL, timeout=30) as answer, part.open("wb") as file:
                while piece := answer.read(2**20):
                    file.write(piece)
            self._checked(part, sha256_of)
            part.replace(path)
        except OSError as error:
            raise EnvironmentLacks(
                f"the weights of Inception are not on this machine and {URL} cannot be reached: {error}",
                hint=f"fetch them on another machine and name the file: {{kind: inception, weights: {FILE}}}; "
                "or measure in an extractor that needs no download: efficientnet_lite0",
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return path


def cache_folder() -> Path:
    """Where files that mep fetched itself are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mep"
