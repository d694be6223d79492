"""DICOM files, as they come from an archive of a hospital."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import field_validator

from mep.errors import DataError
from mep.methods.sources import Problem, Row
from mep.methods.sources._files import Files
from mep.methods.sources._identities import GROUPS, NAMING, named_in, numbered, plain, why_not
from mep.methods.sources._tree import LABEL, class_of, is_metadata

if TYPE_CHECKING:
    from PIL.Image import Image

    from mep.imaging.dicom.header import Pixels

SUFFIXES = (".dcm", ".dicom", ".ima")
PATIENT = "PatientID"
"""The column that says which images are of one patient."""


RADIOGRAPHY = ("CR", "DX", "RG")  # what is called an X-ray, by how the plate was read
BURNED_IN = ("BurnedInAnnotation", "RecognizableVisualFeatures")


@dataclass(frozen=True, slots=True)
class _Header:
    """What is known of a file before it is decoded; of a broken one nothing.

    parts       names of the frames; one that is empty where there is one frame
    values      plain value by tag
    burned_in   tag that says so
    window      has or lacks one; empty where it needs none
    named       tag whose value stands in the path
    is_class_naming     does it stand in the folder that would be the label?
    made_by     kind of machine: CT, MR, X-ray, CT localizer
    pixels      where they lie, of a file that is shown without its header
    aspect      height of a pixel over its width
    """

    parts: tuple[str, ...] = ("",)
    values: Row = field(default_factory=dict)
    burned_in: str = ""
    window: str = ""
    named: str = ""
    is_class_naming: bool = False
    made_by: str = ""
    pixels: Pixels | None = None
    aspect: float = 1.0


class Dicom(Files):
    """DICOM files below a folder, whatever they are called; the frames of a file are images of their own, file#0001.

    Grey is shown through the window, or the table, of each header, and MONOCHROME1 is inverted; `dataset.window` takes
    the place of these windows. The column `PatientID` holds a number in the place of the ID, for `dataset.group`.
    Needs the extra `dicom`.
    """

    opens_to_list: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("pixels",)

    kind: Literal["dicom"]
    tags: tuple[str, ...] = ()
    """Tags that become columns, by keyword: [PatientSex, PatientAge, ViewPosition]. Ages become years, 90 at most. IDs
    become numbers. Names, dates and free text are refused."""
    names: Literal["path", "number"] | None = None
    """How an image is called in results: by the path of its file, or by its number in their order. Default: by path,
    refused where a path names a patient."""
    grey: Literal["shown", "measured"] | None = None
    """`shown`: through the window of the header, to 8 bits. `measured`: rescaled, in Hounsfield units say, for
    `dataset.window`. Default: `measured` where the recipe has a `dataset.window`."""

    pixels: Literal["stored", "square"] = "stored"
    """`stored`: as they are. `square`: those that are higher than wide, or wider than high, by PixelSpacing are made
    square. Else what they show is seen stretched; `mep lint` names such files."""

    @field_validator("tags")
    @classmethod
    def _harmless(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if find_spec("pydicom") is not None:
            for tag in tags:
                if reason := why_not(tag):
                    raise ValueError(f"{tag} {reason}")
        return tags

    def windowed(self) -> Self:
        return self if self.grey else self.model_copy(update={"grey": "measured"})

    def require(self) -> None:
        from mep.imaging.dicom.library import pydicom

        pydicom()

    def is_one(self, path: Path) -> bool:
        from mep.imaging.dicom.library import is_dicom

        return path.name != "DICOMDIR" and (path.suffix.lower() in SUFFIXES or is_dicom(path))

    def contents(self, names: list[str]) -> Iterator[list[tuple[str, Row]]]:
        self.require()  # before headers are read, where what goes wrong is left to the scan
        headers = self._headers(names)
        self._refuse_names(headers)
        self.known.update({name: one.pixels for name, one in zip(names, headers, strict=True) if one.pixels})
        columns = {tag: [header.values.get(tag) for header in headers] for tag in (PATIENT, *self.tags)}
        columns |= {tag: list(numbered(columns[tag])) for tag in columns.keys() & set(GROUPS)}
        if not any(columns[PATIENT]) and PATIENT not in self.tags:
            del columns[PATIENT]
        if self.names == "number" and any(header.is_class_naming for header in headers):
            columns[LABEL] = [None] * len(headers)
        for row, header in enumerate(headers):
            values = {tag: of_tag[row] for tag, of_tag in columns.items()}
            yield [(part, values) for part in header.parts]

    def _refuse_names(self, headers: list[_Header]) -> None:
        naming = [header.named for header in headers if header.named]
        if self.names is None and naming:
            raise DataError(
                f"the paths of {len(naming)} of {len(headers)} files hold their {naming[0]}: results would show it",
                hint="names: number calls images by number; names: path keeps the paths, where such IDs are pseudonyms",
                field="dataset.source.names",
            )

    def open(self, image_id: str) -> Image:
        from mep.imaging.dicom.frames import open_dicom

        file, part = self.parts_of(image_id)
        how = {"as_shown": self.grey != "measured", "square": self.pixels == "square"}
        return open_dicom(self.root / file, int(part or 1) - 1, known=self.known.get(file), **how)

    def problems(self) -> Iterator[Problem]:
        from mep.imaging.dicom.spacing import is_square

        headers = self._headers(self.files)
        n_windows = sum(header.window == "has" for header in headers)
        [(usual, n_usual)] = Counter(header.made_by for header in headers).most_common(1) or [("", 0)]
        for file, header in zip(self.files, headers, strict=True):
            images = [self.name_of(file, part) for part in header.parts]
            if header.burned_in:
                text = f"{header.burned_in} is YES in its header"
                yield from (("burned_in", image, text, True) for image in images)
            if header.made_by and usual and header.made_by != usual:
                text = f"{header.made_by}, where {n_usual} of {len(headers)} files are {usual}"
                yield from (("modality", image, text, True) for image in images)
            if self.pixels == "stored" and not is_square(header.aspect):
                text = f"pixels {header.aspect:.3g} times as high as wide: dataset.source.pixels: square"
                yield "not_square", images[0], text, False
            if header.window == "lacks" and n_windows and self.grey != "measured":
                yield "no_window", images[0], f"no window in its header, which {n_windows} other files have", False

    @cached_property
    def files(self) -> list[str]:
        """The paths of the files below the root, in the order of their numbers."""
        return [name for name in self.names_below() if not is_metadata(name)]

    @cached_property
    def known(self) -> dict[str, Pixels]:
        """Where the pixels of the listed files lie, by path: they are opened without reading their headers again. It
        travels with the source to processes that open images, and is never written."""
        return {}

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.files)}

    def name_of(self, file: str, part: str) -> str:
        return super().name_of(f"{self.numbers[file]:06d}" if self.names == "number" else file, part)

    def parts_of(self, image_id: str) -> tuple[str, str]:
        file, part = super().parts_of(image_id)
        return self.files[int(file)] if self.names == "number" else file, part

    def _headers(self, names: list[str]) -> list[_Header]:
        stats = [os.stat(self.root / name, follow_symlinks=(self.root / name).exists()) for name in names]
        listed = tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in zip(names, stats, strict=True))
        return _read_headers(self.root, listed, self.tags)


@lru_cache(maxsize=2)
def _read_headers(root: Path, listed: tuple[tuple[str, int, int], ...], tags: tuple[str, ...]) -> list[_Header]:
    """The headers of files, by name, size and time of change."""
    return [_read(root / name, name, size, tags) for name, size, _ in listed]


def _read(path: Path, name: str, size: int, tags: tuple[str, ...]) -> _Header:
    from mep.imaging.dicom.header import read_header, text_of
    from mep.imaging.dicom.spacing import aspect_of

    try:
        header, pixels = read_header(path)
        options = pixels.layout.options if pixels else {}
        n_frames = options.get("number_of_frames", 1)
        if not 1 <= n_frames <= size:
            raise ValueError(f"{n_frames} frames")
        values = {tag: plain(header.get(tag)) for tag in tags}
        aspect = 1.0 if pixels is None else aspect_of(header, 0) if pixels.layout.has_tables else pixels.layout.aspect
        is_deep = options.get("samples_per_pixel") == 1 and (options.get("bits_stored") or 0) > 8
    except Exception:  # whatever a broken file raises: the scan opens it, and says what is wrong with it
        return _Header()
    naming = {tag: text_of(header, tag) for tag in NAMING}
    named = named_in(name, naming)
    return _Header(
        parts=tuple(f"{frame:04d}" for frame in range(1, n_frames + 1)) if n_frames > 1 else ("",),
        values=values | {PATIENT: naming[PATIENT] or None},
        burned_in=next((tag for tag in BURNED_IN if text_of(header, tag) == "YES"), ""),
        window="" if pixels is None or not is_deep else "has" if _has_window(header, pixels) else "lacks",
        named=named,
        is_class_naming=bool(named and named_in(class_of(name) or "", naming)),
        made_by=_made_by(text_of(header, "Modality"), text_of(header, "ImageType")) if pixels else "",
        pixels=None if pixels is None or pixels.layout.has_tables else pixels,
        aspect=aspect,
    )


def _made_by(modality: str, image_type: str) -> str:
    family = "X-ray" if modality in RADIOGRAPHY else modality
    return f"{family} localizer".strip() if "LOCALIZER" in image_type else family


def _has_window(header: Any, pixels: Pixels) -> bool:
    from mep.imaging.dicom.grey import Display

    if not pixels.layout.has_tables:
        return pixels.layout.display.window is not None
    return bool(header.get("VOILUTSequence")) or Display.of(header, 0).window is not None
