"""Outliers that somebody has named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import model_validator

from mep.errors import DataError
from mep.machine.tables import named, read_table
from mep.methods._given import FromTable, said_of
from mep.methods.detectors import Detector, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Images
    from mep.machine.work import Work

FIELD = "outliers.method"


class Given(FromTable, Detector):
    """Removes the images that a list names, or of which a column says anything.

    `path` alone: every image that the file names goes. `column`: those that have a value there go, and the value is
    the reason.
    """

    kind: Literal["given"]
    column: str | None = None
    """Column that says why an image is to go, empty for those that stay."""

    @model_validator(mode="after")
    def _something_is_given(self) -> Self:
        if self.path is None and self.column is None:
            raise ValueError("give path, a list of images, or column, a column of the dataset, or both")
        return self

    def check(self, images: Images) -> None:
        """DataError where the list names an image that the dataset does not have: it may be a slip of the pen."""
        if self.path is None:
            return
        table = read_table(self.path, self.id, FIELD)
        there = set(table.rows_of(images.ids).tolist())
        if unknown := [name for row, name in enumerate(table.ids) if row not in there]:
            raise DataError(
                f"{self.path} names {len(unknown)} of {len(table.ids)} images that the dataset does not have:"
                f" {named(unknown)}",
                hint="correct these names, or take their rows out",
                field=FIELD,
            )

    def inspect(self, images: Images, vectors: NDArray[np.float32], train: NDArray[np.bool_], work: Work) -> Verdict:
        if self.column is not None:
            said = said_of(images, self.path, self.id, self.column, FIELD)
            reasons = ["" if why is None else f"given ({why.replace(',', ';')})" for why in said]
        else:
            assert self.path is not None
            rows = read_table(self.path, self.id, FIELD).rows_of(images.ids)
            reasons = ["given" if row >= 0 else "" for row in rows.tolist()]
        return Verdict(np.array([not why for why in reasons], dtype=bool), reasons, {})
