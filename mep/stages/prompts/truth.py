"""The truth of an image as a caption names it: a number as one of ten steps, any other value as it is."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mep.machine.tables import value_text

TRUTH = "truth"
"""The slot of a template and the column of a prompt."""
STEPS = 10
"""Steps that numbers are cut into."""
UNKNOWN = "unknown"
"""What is said of an image that has nothing in the column."""


def truths(values: Sequence[object], n_train: int) -> list[str]:
    """What captions say of every value: `1` (lowest) to `10`, or the value as it is where it is no number.

    values      of a metadata column; those of the n_train training images first, which alone decide on the steps

    Each step has as many training images as the others, where the values allow it. Ten numbers or fewer are a step
    each. A value that is missing is `unknown`.
    """
    texts = [value_text(value) for value in values]
    numbers: NDArray[np.float64] = np.array([_number(text) for text in texts])
    known = [text is not None for text in texts]
    if np.isnan(numbers[known]).any():
        return [text or UNKNOWN for text in texts]
    of_train = numbers[:n_train][known[:n_train]]
    distinct = np.unique(of_train)
    shares = np.arange(1, STEPS) / STEPS
    edges = distinct[1:] if len(distinct) <= STEPS else np.quantile(of_train, shares)
    steps = (np.atleast_1d(np.searchsorted(edges, numbers, side="right")) + 1).tolist()
    return [str(step) if there else UNKNOWN for step, there in zip(steps, known, strict=True)]


def _number(text: str | None) -> float:
    """nan where it is none; what a CSV holds is text."""
    try:
        number = float(text or "nan")
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
