"""Sources: where images and their labels come from. One file, one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

from mep.registry import Method

if TYPE_CHECKING:
    from PIL.Image import Image

Row: TypeAlias = dict[str, object]
"""Values of an image by column."""
Problem: TypeAlias = tuple[str, str, str, bool]
"""Check of `mep lint`, image, what is wrong with it, and whether leaving it out is the remedy."""


@dataclass(frozen=True, slots=True)
class Record:
    """One image as the source lists it.

    id          relative POSIX path, or the name of a tile cut on demand; unique
    split       the split that the source gives, empty where it gives none
    metadata    further columns, the label among them
    """

    id: str
    split: str = ""
    metadata: Row = field(default_factory=dict)


class Source(Method):
    """A list of records, and the pixels of each."""

    noun: ClassVar[str] = "source"

    opens_to_list: ClassVar[bool] = False
    """Whether it opens every file to list its images, which a run should do once."""

    def records(self) -> list[Record]:
        """Every image, sorted by id.

        DataError   a metadata file that cannot be read, or that names a file which is absent or outside the folder
        """
        raise NotImplementedError

    def open(self, image_id: str) -> Image:
        """The image of a record, not yet converted."""
        raise NotImplementedError

    def path_of(self, image_id: str) -> Path | None:
        """The file that holds an image and nothing else, where there is one."""
        return None

    def file_of(self, image_id: str) -> Path | None:
        """The file that an image is read from, which may hold others too; None where no single one is."""
        return self.path_of(image_id)

    def windowed(self) -> Self:
        """The source for a recipe that has a window of its own for deep grey: one that applies no other."""
        return self

    def problems(self) -> Iterator[Problem]:
        """What `mep lint` cannot see in the pixels."""
        yield from ()

    def endings(self) -> Counter[str]:
        """Endings of the files that lie there, asked where none of them is an image to this source."""
        return Counter()

    def classes(self, column: str) -> list[str]:
        """Values that the source announces for a column, whether or not an image has them."""
        return []
