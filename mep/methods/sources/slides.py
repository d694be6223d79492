"""Whole-slide images, cut into tiles on the way: no tile is ever written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mep.config import HashFile, fold, folder_digest
from mep.errors import DataError
from mep.methods.sources import Problem, Record, Row
from mep.methods.sources._files import Files
from mep.methods.sources._slide import FINEST_UM, Slide, opened, slide_library

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".bif", ".svslide", ".tif", ".tiff")
OME = (".ome.tif", ".ome.tiff")


class Slides(Files):
    """Tiles of the slides below a folder: SVS, NDPI, MRXS, pyramidal TIFF, OME-TIFF. Regions are read when they are
    asked for. Columns: `slide`, the path of the file, for `dataset.group`; `x` and `y`, the corner in pixels of the
    largest level. Needs the extra `slides`.
    """

    opens_to_list: ClassVar[bool] = True

    kind: Literal["slides"]
    um_per_px: float | None = Field(None, gt=0)
    """Micrometres a pixel of a tile: 0.5 is what is called 20x."""
    magnification: float | None = Field(None, gt=0)
    """In the place of `um_per_px`: 20, 10, 5."""
    tile_px: int = Field(256, ge=16, le=4096)
    """Side of a tile."""
    stride_px: int | None = Field(None, ge=1, le=1_000_000)
    """Distance between neighbouring tiles. Default: the side, so that they touch; smaller, and they overlap."""
    tissue: float = Field(0.5, ge=0, le=1)
    """Share of a tile that has to be tissue: more saturated than the threshold of Otsu (1979) on a small picture of the
    slide. 0 takes all tiles."""
    assumed_um_per_px: float | None = Field(None, gt=0)
    """Micrometres a pixel of the largest level, for slides that do not say."""
    reader: Literal["openslide", "tiffslide"] | None = None
    """Library that reads. Default: tiffslide for OME-TIFF, openslide for the others."""

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        if (self.um_per_px is None) == (self.magnification is None):
            raise ValueError("say either um_per_px or magnification")
        return self

    def require(self) -> None:
        if not self.path.is_dir() or any(not name.lower().endswith(OME) for name in self.names_below()):
            slide_library(self.reader or "openslide")

    def is_one(self, path: Path) -> bool:
        return path.suffix.lower() in SUFFIXES

    def contents(self, names: list[str]) -> Iterator[list[tuple[str, Row]]]:
        for name in names:
            slide = self._slide(self.root / name)
            if slide is None:  # does not open: the scan says why
                yield [("", {"slide": name, "x": None, "y": None})]
                continue
            corners = self._corners(slide, name).tolist()
            if not corners:
                self.without_tiles.append(name)
            yield [(f"x{x:06d}y{y:06d}", {"slide": name, "x": x, "y": y}) for x, y in corners]

    def records(self) -> list[Record]:
        self.without_tiles.clear()
        records = super().records()
        if not records:
            raise DataError(
                f"no tile of {self.tile_px} px holds enough tissue, in {len(self.without_tiles)} slides",
                hint="ask for less tissue (0 takes every tile), or for smaller tiles",
                field="dataset.source.tissue",
            )
        return records

    @cached_property
    def without_tiles(self) -> list[str]:
        """Slides that were listed and gave no tile."""
        return []

    def problems(self) -> Iterator[Problem]:
        for name in self.without_tiles:
            yield "no_tile", "", f"{name} gives no tile: it is too small, or holds too little tissue", False

    def open(self, image_id: str) -> Image:
        path, part = self.place_of(image_id)
        slide = opened(path, self._reader_of(path), os.getpid())
        if not part:
            raise DataError("it changed after it was listed", hint="run the command again")
        x, y = part[1:].split("y")
        return slide.region(int(x), int(y), self.tile_px, self._scale(slide, path.name))

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        beside = [self.root / name.removesuffix(".mrxs") for name in self.names_below() if name.endswith(".mrxs")]
        data = fold([(folder.name, folder_digest(folder, hash_file)) for folder in beside if folder.is_dir()])
        return super().externals(hash_file) | ({"beside": data} if beside else {})

    def _reader_of(self, path: Path) -> str:
        return self.reader or ("tiffslide" if path.name.lower().endswith(OME) else "openslide")

    def _slide(self, path: Path) -> Slide | None:
        try:
            return opened(path, self._reader_of(path), os.getpid())
        except DataError:
            return None

    def _scale(self, slide: Slide, name: str) -> float:
        """Pixels of the largest level that become a pixel of a tile. DataError: the slide does not say its scale."""
        um_per_px = self.assumed_um_per_px or slide.um_per_px
        if um_per_px is None:
            raise DataError(
                f"{name} says neither its micrometres a pixel nor its magnification",
                hint="assumed_um_per_px: says it for such slides; 0.25 is usual for 40x, 0.5 for 20x",
                field="dataset.source",
            )
        wanted = self.um_per_px or FINEST_UM / float(self.magnification or 1)
        if wanted < 0.9 * um_per_px:
            raise DataError(
                f"{name} has {um_per_px:.3g} um/px at its finest, {wanted:.3g} are wanted",
                hint="ask for no finer tiles than the slides have",
                field="dataset.source",
            )
        return wanted / um_per_px

    def _corners(self, slide: Slide, name: str) -> NDArray[np.int64]:
        """int64 (n, 2) x and y of the tiles that hold enough tissue, row by row, in pixels of the largest level."""
        scale = self._scale(slide, name)
        side, step = self.tile_px * scale, (self.stride_px or self.tile_px) * scale
        width, height = slide.size
        xs, ys = (np.arange(0, length - side + 1e-6, step).round().astype(np.int64) for length in (width, height))
        y, x = (one.ravel() for one in np.meshgrid(ys, xs, indexing="ij"))
        if self.tissue > 0 and len(x):
            kept = slide.tissue_in(x, y, side) >= self.tissue
            x, y = x[kept], y[kept]
        return np.stack([x, y], axis=1)
