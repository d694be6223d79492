"""NIfTI volumes, slice by slice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator

from mep.errors import DataError
from mep.imaging.pixels import made_square
from mep.machine.extras import library
from mep.machine.files import refuse_special
from mep.methods.sources import Row
from mep.methods.sources._files import Files

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The axis of a volume in RAS+ orientation that stands on the slices."""
MOST_VOXELS = 2**31  # a header that claims more is not read into memory
SOME_VOXELS = 1_000_000  # of a volume, evenly spread: enough for its percentiles


class Nifti(Files):
    """Slices of the .nii and .nii.gz files below a folder, as radiologists look at them: upright, the patient's right
    on the left, sagittal slices with the front on the left; pixels are made square where voxels are not.

    Columns: `volume`, the path of the file, for `dataset.group`; `subject`, the 01 of sub-01 where paths are those of
    BIDS; `slice`, from 1. Needs the extra `nifti`.
    """

    opens_to_list: ClassVar[bool] = True

    kind: Literal["nifti"]
    plane: Literal["axial", "coronal", "sagittal"] = "axial"
    """Plane of the slices, whatever the order of the axes in the file."""
    every: int = Field(1, ge=1, le=100_000)
    """Take every n-th slice; neighbours look alike."""
    between: tuple[float, ...] = Field((0.0, 1.0), min_length=2, max_length=2)
    """Part of the volume along the axis, from the feet, the back or the left: [0.3, 0.7] takes the middle."""
    volume: int | None = Field(None, ge=0, le=1_000_000)
    """Which volume of a file that holds several, from 0: a contrast, a point in time."""
    percentiles: tuple[float, ...] | None = Field((0.5, 99.5), min_length=2, max_length=2)
    """Percentiles of each volume that become black and white, as suits MR, whose values have no unit. Null leaves the
    values as they are, for one window of all; so does `dataset.window`, as suits CT."""

    @field_validator("between", "percentiles")
    @classmethod
    def _ordered(cls, ends: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if ends is not None and not 0 <= ends[0] < ends[1] <= 100:
            raise ValueError("two increasing numbers are wanted")
        return ends

    def windowed(self) -> Self:
        return self.model_copy(update={"percentiles": None})

    def require(self) -> None:
        _nibabel()

    def is_one(self, path: Path) -> bool:
        return path.name.lower().endswith((".nii", ".nii.gz"))

    def contents(self, names: list[str]) -> Iterator[list[tuple[str, Row]]]:
        _nibabel()
        for name in names:
            columns: Row = {"volume": name}
            if subject := re.search(r"(?:^|/)sub-([A-Za-z0-9]+)", name):
                columns["subject"] = subject[1]
            numbers = self._slices(self.root / name, name)
            yield [(f"{number:04d}" if number else "", columns | {"slice": number or None}) for number in numbers]

    def _slices(self, path: Path, name: str) -> list[int]:
        """Numbers of the slices that are taken, from 1; [0] of a file that does not open, so that the scan finds it."""
        try:
            image = _load(path)
        except DataError:
            return [0]
        n_volumes = int(np.prod(image.shape[3:]))
        if n_volumes > 1 and (self.volume is None or self.volume >= n_volumes):
            raise DataError(
                f"{name} holds {n_volumes} volumes",
                hint=f"volume: says which, from 0 to {n_volumes - 1}",
                field="dataset.source.volume",
            )
        n_slices = image.shape[_axes(image).tolist().index(AXES[self.plane])]
        first, last = round(self.between[0] * n_slices), round(self.between[1] * n_slices)
        if first == last:
            low, high = self.between
            raise DataError(
                f"{name} has {n_slices} {self.plane} slices, none of them between {low} and {high}",
                hint="widen it, or take the volume out",
                field="dataset.source.between",
            )
        return list(range(first + 1, last + 1, self.every))

    def open(self, image_id: str) -> Image:
        from PIL import Image

        path, part = self.place_of(image_id)
        refuse_special(path)
        volume = _volume(path, path.stat().st_mtime_ns, self.volume or 0, self.percentiles)
        if not part:
            raise DataError("it changed after it was listed", hint="run the command again")
        pixels, spacing = volume.slice(AXES[self.plane], int(part) - 1)
        return made_square(Image.fromarray(pixels), spacing)


@dataclass(eq=False)
class _Volume:
    """A volume in RAS+ orientation.

    stored      (x, y, z) as they are in the file
    scale       slope and intercept of the stored values
    spacing     mm between voxels
    ends        values that become black and white; None leaves them as they are
    """

    stored: NDArray[Any]
    scale: tuple[float, float]
    spacing: tuple[float, ...]
    ends: tuple[float, float] | None

    def slice(self, axis: int, number: int) -> tuple[NDArray[Any], tuple[float, float]]:
        """Pixels, uint8 or as Pillow holds deep grey, and the mm between rows and between columns."""
        across, down = (one for one in range(3) if one != axis)
        stored = np.moveaxis(self.stored, axis, 0)[number][::-1, ::-1].T
        spacing = self.spacing[down], self.spacing[across]
        if self.ends is not None and stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
            return np.asarray(self._table.take(stored.view(f"u{stored.dtype.itemsize}"), mode="clip")), spacing
        pixels = stored * self.scale[0] + self.scale[1]
        if self.ends is not None:
            return _between(pixels, self.ends), spacing
        is_whole = bool((pixels == np.round(pixels)).all()) and float(np.abs(pixels).max()) < 2**31
        return pixels.astype(np.int32 if is_whole else np.float32), spacing

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """uint8 of every value that can be stored, in the order of its bits."""
        values = np.arange(2 ** (8 * self.stored.dtype.itemsize), dtype=f"u{self.stored.dtype.itemsize}")
        return _between(values.view(self.stored.dtype) * self.scale[0] + self.scale[1], self.ends or (0, 1))


def _between(values: NDArray[Any], ends: tuple[float, float]) -> NDArray[np.uint8]:
    share = (np.nan_to_num(values, nan=ends[0]) - ends[0]) / max(ends[1] - ends[0], 1e-12)
    return np.asarray(np.round(np.clip(share, 0, 1) * 255), dtype=np.uint8)


def _nibabel() -> Any:
    return library("nibabel", "nibabel", "nifti")


def _load(path: Path) -> Any:
    """A file of which only the header is read. DataError: it is none, or holds more than grey."""
    package = _nibabel()
    refuse_special(path)
    try:
        image = package.load(path)
    except Exception as error:  # nibabel raises its own, and those of gzip and zlib
        what = "the file is empty" if not path.stat().st_size else f"no NIfTI file: {str(error).partition(chr(34))[0]}"
        raise DataError(what, hint="export it again") from error
    if len(image.shape) < 3 or image.get_data_dtype().kind not in "iuf":
        raise DataError(f"{len(image.shape)} axes of {image.get_data_dtype()}", hint="volumes of grey are wanted")
    if not 0 < np.prod(image.shape, dtype=float) <= MOST_VOXELS:
        raise DataError(f"its header claims {image.shape} voxels", hint="take it out")
    axes, sides = image.affine[:3, :3], np.array(image.header.get_zooms()[:3])
    if not (sides > 0).all():
        measures = " x ".join(f"{side:g}" for side in sides)
        raise DataError(f"its header claims voxels of {measures} mm", hint="export it again, or take it out")
    if not np.isfinite(axes).all() or np.linalg.matrix_rank(axes) < 3:
        what = "its header does not say which way is up: sform and qform lead nowhere"
        raise DataError(what, hint="export it again, or take it out")
    return image


def _axes(image: Any) -> NDArray[np.int64]:
    """int64 (3,) axis in RAS+ of each axis of the file: 0 left to right, 1 back to front, 2 feet to head."""
    return np.asarray(_nibabel().io_orientation(image.affine)[:3, 0], dtype=np.int64)


@lru_cache(maxsize=1)
def _volume(path: Path, changed: int, number: int, percentiles: tuple[float, ...] | None) -> _Volume:
    """A volume, kept until another is asked for: its slices are read one after the other."""
    package, image = _nibabel(), _load(path)
    scale = tuple(1.0 if value is None else float(value) for value in (image.dataobj.slope, image.dataobj.inter))
    try:
        unscaled = image.dataobj.get_unscaled()
    except Exception as error:  # a file that ends too early: gzip's, zlib's and the system's errors
        raise DataError(f"it cannot be read to its end ({error})", hint="copy it again") from error
    one = np.asanyarray(unscaled.reshape(*unscaled.shape[:3], -1, order="F")[..., number])
    one = one.astype(one.dtype.newbyteorder("="), copy=False)
    stored = package.apply_orientation(one, package.io_orientation(image.affine)[:3])
    spacing = tuple(float(image.header.get_zooms()[axis]) for axis in np.argsort(_axes(image)))
    ends = None
    if percentiles:
        some = stored.ravel(order="K")[:: max(1, stored.size // SOME_VOXELS)] * scale[0] + scale[1]
        some = some[np.isfinite(some)]
        if not len(some):
            raise DataError("it holds no finite value", hint="export it again, or take it out")
        low, high = np.percentile(some, percentiles)
        ends = float(low), float(high)
    return _Volume(stored, (scale[0], scale[1]), spacing, ends)
