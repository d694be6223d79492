"""What every result of a stage can do, and tables and arrays on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from mep.config import Config

Table = dict[str, list[Any]]


class Artifact:
    """Immutable output of a stage."""

    def save(self, folder: Path) -> None:
        """Write what the stage has not already written into the folder."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """Read it back; `config` is that of the stage that made it, as the present recipe has it."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """A few counts for the manifest and the progress line."""
        return {}


@dataclass(frozen=True, eq=False)
class InFolder(Artifact):
    """An artifact whose stage writes its files itself, straight into `work.out`."""

    folder: Path

    def save(self, folder: Path) -> None:
        """Everything is already there."""

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        return cls(folder)


def save_table(path: Path, columns: Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)


def load_table(path: Path) -> Table:
    import pyarrow.parquet as pq

    return cast(Table, pq.read_table(path).to_pydict())


def mapped(path: Path) -> NDArray[Any]:
    """An array that stays on disk and is read where it is touched."""
    return cast(NDArray[Any], np.load(path, mmap_mode="c", allow_pickle=False))
