"""What every result of a stage can do, and tables and arrays on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mep.config import Config
from mep.machine.files import read_json, write_json

NAMES = "cluster_names.json"
CODES = "codes.json"
"""What given clusters are called; absent where their numbers say all."""
Table: TypeAlias = dict[str, list[Any]]
Arrays: TypeAlias = dict[str, NDArray[Any]]


class Artifact:
    """Immutable output of a stage."""

    def save(self, folder: Path) -> None:
        """Write what the stage has not already written into the folder."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path, config: Config) -> Self:
        """Read it back; `config` is that of the stage that made it, as the present recipe has it."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, object]:
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

    with pq.ParquetFile(path) as file:  # read_table would import all that data sets of many files need, and pandas
        return cast(Table, file.read().to_pydict())


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write each as <name>.npy."""
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_arrays(folder: Path, mmap_mode: Literal["r", "c"] | None = None) -> Arrays:
    """Those of a folder by name. With a mode they stay on disk and are read where they are touched."""
    return {path.stem: np.load(path, mmap_mode, allow_pickle=False) for path in sorted(folder.glob("*.npy"))}


def load_names(folder: Path) -> dict[int, str]:
    """Number of a cluster -> its name."""
    path = folder / NAMES
    return {int(number): name for number, name in read_json(path).items()} if path.exists() else {}


def save_codes(folder: Path, codes: Mapping[int, tuple[int, int]]) -> None:
    """Write coarse and fine number of each cluster, where there are such."""
    if codes:
        write_json(folder / CODES, codes)


def load_codes(folder: Path) -> dict[int, tuple[int, int]]:
    """Number of a cluster -> that of its coarse cluster, and its own within that one."""
    path = folder / CODES
    rows = read_json(path).items() if path.exists() else []
    return {int(number): (coarse, fine) for number, (coarse, fine) in rows}
