"""Vectors that were made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import model_validator

from mep.config import HashFile, LocalPath
from mep.errors import DataError
from mep.machine.tables import ImageTable, named, read_table
from mep.methods.embedders import Embed, Embedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIELD = "embedding.model"


class Table(Embedder):
    """Vectors of the images from a file, by any model and any program.

    Nobody can embed a generated image with a table. Whether generated images show the cluster and the label of their
    captions is then not measured, and the report says so; everything else is.
    """

    kind: Literal["table"]
    path: LocalPath
    """A row an image: .parquet with a column of lists, or with the numbers in columns, as in .csv; or .npy, float
    (n, d), whose rows `ids` names."""
    ids: LocalPath | None = None
    """Of .npy: the names of the images in the order of its rows, a line each (.txt), or a table."""
    id: str | None = None
    """Column that names the image: its path below the dataset's folder, or its file name where no two have the same.
    Default: id, file_name, image or path, the first that is there."""
    columns: tuple[str, ...] = ()
    """Columns that hold the vector; * stands for any text: [f*]. Default: the only column of lists."""

    @model_validator(mode="after")
    def _ids_belong_to_npy(self) -> Self:
        if self.path.suffix == ".npy" and self.ids is None:
            raise ValueError("a .npy file does not name its images: ids: NAMES.txt, a name on each line")
        if self.path.suffix != ".npy" and self.ids is not None:
            raise ValueError("ids belongs to .npy files; the column of a table that names the images is id")
        return self

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        content = {"vectors": hash_file(self.path)}
        return content if self.ids is None else content | {"ids": hash_file(self.ids)}

    def load(self, device: str) -> Embed:
        raise DataError("a table has no vectors of other images than its own", field=FIELD)

    def known(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, d), the vectors of images.

        DataError   an image that the table does not have; a file that holds no vectors; what is not finite
        """
        table, vectors = self._read()
        chosen = vectors[table.all_rows_of(ids, "vector")]
        broken = np.flatnonzero(~np.isfinite(chosen).all(axis=1))
        if len(broken):
            raise DataError(
                f"{self.path} has vectors that are not finite, of {named([ids[row] for row in broken.tolist()])}",
                hint="embed these images again",
                field=FIELD,
            )
        return np.ascontiguousarray(chosen, dtype=np.float32)

    def _read(self) -> tuple[ImageTable, NDArray[np.floating]]:
        if self.ids is None:
            table = read_table(self.path, self.id, FIELD)
            return table, table.vectors(self.columns)
        table = read_table(self.ids, self.id, FIELD)
        try:
            vectors = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path} is no .npy file: {error}", hint="write it with numpy.save", field=FIELD
            ) from error
        if vectors.ndim != 2 or vectors.dtype.kind != "f" or len(vectors) != len(table.ids):
            shape = "x".join(map(str, vectors.shape))
            raise DataError(
                f"{self.path} holds {vectors.dtype} {shape}, and {self.ids} names {len(table.ids)} images",
                hint="a row of numbers with fractions for every name is wanted",
                field=FIELD,
            )
        return table, vectors
