"""Normal intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""Standard normal quantile of 0.975."""


def standard_error(values: NDArray[np.float64]) -> float:
    """Standard error of a score of the whole sets, from its values on halves; needs 2, and 40 for two good digits."""
    return float(np.std(values, ddof=1))
