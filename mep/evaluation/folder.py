"""A plain folder of images, and its features, kept by content: files in order, extractor, how images reach it."""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mep.config import digest
from mep.errors import DataError
from mep.evaluation.features import features_of, file_formats
from mep.imaging.pixels import square, to_rgb
from mep.machine.files import sha256_of, write_atomically
from mep.machine.settings import ONE_PROCESS
from mep.machine.work import NullProgress, Progress, Work
from mep.methods.extractors import Extractor
from mep.methods.sources._endings import advice, no_image
from mep.methods.sources.imagefolder import ImageFolder


@dataclass(frozen=True, eq=False)
class Folder:
    """The images of a folder, by name.

    sizes       int64 (n, 2) width, height
    modes       Pillow's names of the kinds of pixels, RGB, L and so on -> how many images
    columns     metadata by name, n values each; the folders that images lie in are `label`
    """

    path: Path
    ids: list[str]
    sha256: list[str]
    sizes: NDArray[np.int64]
    modes: Counter[str]
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def format(self) -> str:
        """What the files are: `png RGB`."""
        return f"{file_formats(self.ids)} {'+'.join(sorted(self.modes))}"

    def column(self, name: str) -> list[str]:
        """A column of the metadata as text; DataError where there is none of this name."""
        if name not in self.columns:
            listing = ", ".join(self.columns) or "none; add a metadata.jsonl, or a folder for each label"
            raise DataError(f"the images in {self.path} have no column '{name}'", hint=f"columns: {listing}")
        return [str(value) for value in self.columns[name]]

    def read(self, row: int, size_px: int | None) -> NDArray[np.uint8]:
        from PIL import Image

        try:
            with Image.open(self.path / self.ids[row]) as image:
                pixels = to_rgb(image)
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and more on bad files
            raise DataError(f"{self.path / self.ids[row]} does not decode: {error}", hint="replace it") from error
        return pixels if size_px is None else square(pixels, size_px)


def open_folder(path: Path) -> Folder:
    """List a folder and read the headers of its images.

    DataError   no folder, no image in it, a single one, or a file that is no image
    """
    source = ImageFolder(kind="imagefolder", path=path)
    records = source.records()
    if len(records) < 2:
        endings = source.endings() if not records else Counter[str]()
        held = no_image(endings) if not records else f"a single image, {records[0].id}"
        hint = advice(endings) if endings else "at least two are needed, and hundreds to say anything"
        raise DataError(f"{path} holds {held}", hint=hint)
    sizes, modes = [], Counter[str]()
    for record in records:
        try:
            with source.open(record.id) as image:
                sizes.append(image.size)
                modes[image.mode] += 1
        except OSError as error:
            raise DataError(f"{path / record.id} is no image: {error}", hint="replace it or take it out") from error
    names = dict.fromkeys(name for record in records for name in record.metadata)
    return Folder(
        path=path,
        ids=[record.id for record in records],
        sha256=[sha256_of(path / record.id) for record in records],
        sizes=np.array(sizes, dtype=np.int64),
        modes=modes,
        columns={name: [record.metadata.get(name) for record in records] for name in names},
    )


@dataclass(frozen=True)
class FeatureCache:
    """Where features are computed and kept."""

    path: Path
    device: str = "cpu"
    batch_size: int = 64
    progress: Callable[[str], Progress] = lambda title: NullProgress()

    def features(self, folder: Folder, extractor: Extractor, size_px: int | None) -> NDArray[np.float32]:
        """float32 (n, d), read back where the same images went through the same extractor before."""
        content = {"images": folder.sha256, "extractor": extractor.digest(), "protocol": extractor.protocol()}
        key = digest(content | {"kind": extractor.name, "size_px": size_px})
        path = self.path / f"{key}.npy"
        if path.exists():
            return np.asarray(np.load(path, allow_pickle=False))
        batch_size = 1 if size_px is None and len(np.unique(folder.sizes, axis=0)) > 1 else self.batch_size
        work = Work(
            folder=self.path / "work" / key,
            machine=ONE_PROCESS.model_copy(update={"device": self.device, "batch_size": batch_size}),
            progress=self.progress(f"{extractor.name}, {folder.path}"),
        )

        def read(rows: Sequence[int]) -> NDArray[np.uint8]:
            return np.stack([folder.read(row, size_px) for row in rows])

        features = features_of("shards", read, len(folder), extractor.load(self.device), work)
        write_atomically(path, lambda file: np.save(file, features, allow_pickle=False))
        shutil.rmtree(work.folder)
        return features
