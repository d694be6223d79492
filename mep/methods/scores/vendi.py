"""The Vendi score: how many different images there are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.errors import DataError
from mep.methods.scores import Score, check_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Vendi(Score):
    """Effective number of different generated images (Friedman & Dieng 2022, arXiv:2210.02410), by cosine similarity.

    1 where all are alike, n where none resembles another. It grows with n, so that real images stand beside it at the
    same number. It does not ask whether what is diverse is also right.
    """

    kind: Literal["vendi"]
    order: Annotated[float, Field(gt=0)] | Literal["infinity"] = 1.0
    """Order of the entropy: 1 is Shannon's, larger ones look at frequent kinds, infinity at the most frequent alone."""

    better: ClassVar[dict[str, Literal["lower", "higher"]]] = {"vendi": "higher"}

    def measure(self, real: NDArray[np.floating], fake: NDArray[np.floating]) -> dict[str, float]:
        return {"vendi": vendi(check_sets(real, fake, self.minimum())[1], self._order)}

    def null(self, real: Any, fake: Any, train: Any, *, seed: int) -> dict[str, float]:
        """Of as many real images."""
        return {"vendi": vendi(real[: len(fake)], self._order)} if len(real) >= len(fake) else {}

    @property
    def _order(self) -> float:
        return math.inf if self.order == "infinity" else float(self.order)


def vendi(rows: NDArray[np.floating], order: float = 1.0) -> float:
    """Exponential of the entropy of the eigenvalues of the similarities over n; 1 to n, higher is more diverse.

    rows    float (n, d)   compared by cosine
    order   1 Shannon, math.inf the share of the largest eigenvalue alone

    DataError   a row is 0, and has no direction
    """
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not lengths.all():
        raise DataError(f"{int((lengths == 0).sum())} rows of features are 0 and have no direction")
    scaled = rows / lengths
    n, d = scaled.shape
    table = scaled.T @ scaled if n > d else scaled @ scaled.T
    shares = np.linalg.eigvalsh(table / n)
    shares = shares[shares > 1e-15 * n]
    if math.isinf(order):
        return float(1 / shares.max())
    if order == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    return float((shares**order).sum() ** (1 / (1 - order)))
