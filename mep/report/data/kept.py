"""What pages were made of before: pictures, sheets of thumbnails, positions on maps, by what each was made from."""

import hashlib
import sqlite3
from contextlib import closing
from functools import cache, cached_property
from pathlib import Path

import mep

NAME = "pages.db"
"""The file in the cache of a store; it may be deleted at any time."""
VERSION = 1
"""Raised where the same key gives another text by the same versions of mep and Pillow."""
MOST_BYTES = 500_000_000
"""Of the file; it begins anew where it is larger."""


class Kept:
    """Texts by key, those of earlier pages and of this one.

    A key names all that the text depends on besides mep, Pillow and its WebP. What is wrong with the file never stops
    a page: its parts are then made again.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self.unsaved: dict[bytes, str] = {}

    def find(self, key: str) -> str | None:
        name = _name(key)
        if name in self.unsaved:
            return self.unsaved[name]
        try:
            found = self._file and self._file.execute("SELECT text FROM kept WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error:  # damaged, or being written: as if it were not there
            return None
        return str(found[0]) if found else None

    def keep(self, key: str, text: str) -> None:
        self.unsaved[_name(key)] = text

    def save(self) -> None:
        """Write what is new, in one transaction, and close the file."""
        if (file := vars(self).pop("_file", None)) is not None:
            file.close()
        if self.path is None or not self.unsaved:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
                self.path.unlink()
            with closing(sqlite3.connect(self.path, timeout=1)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS kept (name BLOB PRIMARY KEY, text TEXT)")
                file.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", self.unsaved.items())
        except sqlite3.OperationalError:  # a disk that is full or read-only, or another process that writes
            return
        except (sqlite3.DatabaseError, OSError):  # damaged: the next page begins anew
            self.path.unlink(missing_ok=True)

    @cached_property
    def _file(self) -> sqlite3.Connection | None:
        if self.path is None or not self.path.exists():
            return None
        return sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=1)


def _name(key: str) -> bytes:
    return hashlib.sha256(f"{_made_with()}\n{key}".encode()).digest()


@cache
def _made_with() -> str:
    import PIL
    from PIL import features

    return f"{VERSION} {mep.__version__} {PIL.__version__} {features.version_module('webp')}"
