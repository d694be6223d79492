"""The Vendi score: how many different images there are."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.methods.scores import Better, Rows, Score, check_sets, unit_rows


class Vendi(Score):
    """Effective number of different generated images (Friedman & Dieng 2022, arXiv:2210.02410), by cosine similarity.

    1 where all are alike, n where none resembles another. It grows with n, so that real images stand beside it at the
    same number. It does not ask whether what is diverse is also right.
    """

    kind: Literal["vendi"]
    order: Annotated[float, Field(gt=0)] | Literal["infinity"] = 1.0
    """Order of the entropy: 1 is Shannon's, larger ones look at frequent kinds, infinity at the most frequent alone."""

    better: ClassVar[Better] = {"vendi": "higher"}

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        return {"vendi": vendi(check_sets(real, fake, self.minimum())[1], self._order)}

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        """Of as many real images."""
        return {"vendi": vendi(real[: len(fake)], self._order)} if len(real) >= len(fake) else {}

    @property
    def _order(self) -> float:
        return math.inf if self.order == "infinity" else float(self.order)


def vendi(rows: Rows, order: float = 1.0) -> float:
    """Exponential of the entropy of the eigenvalues of the similarities over n; 1 to n, higher is more diverse.

    rows    float (n, d)   compared by cosine
    order   1 Shannon, math.inf the share of the largest eigenvalue alone

    DataError   a row is 0, and has no direction
    """
    scaled = unit_rows(rows, "rows of features")
    n, d = scaled.shape
    table = scaled.T @ scaled if n > d else scaled @ scaled.T
    shares = np.linalg.eigvalsh(table / n)
    shares = shares[shares > 1e-15 * n]
    if math.isinf(order):
        return float(1 / shares.max())
    if order == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    return float((shares**order).sum() ** (1 / (1 - order)))
