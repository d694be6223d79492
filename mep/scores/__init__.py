"""Scores: how far generated features lie from real ones. One file, one score."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.registry import Method

BLOCK = 1024
"""Rows that are compared at once: a block of float64 pairs is 8 MB, however many images there are."""


class Score(Method):
    """A comparison of two sets of features; `real` and `fake` always come in that order."""

    noun: ClassVar[str] = "score"

    better: ClassVar[dict[str, Literal["lower", "higher"]]] = {}
    """Every metric that the score gives, and which way is better."""

    def minimum(self) -> int:
        """Rows that each set needs for the numbers to mean anything."""
        return 2

    def measure(self, real: NDArray[np.floating], fake: NDArray[np.floating]) -> dict[str, float]:
        """Metric name -> value.

        real    float32 or float64 (n, d)   feature units
        fake    float32 or float64 (m, d)

        DataError   unlike widths, non-finite features, fewer rows than `minimum`
        """
        raise NotImplementedError


def check_sets(real: NDArray[Any], fake: NDArray[Any], minimum: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sets in float64, after the checks that every score needs.

    DataError   not a table, unlike widths, non-finite features, fewer rows than `minimum`
    """
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2 or features.shape[1] == 0:
            raise DataError(
                f"{name} features have shape {features.shape}, not (images, dimensions)",
                hint="give one row of features per image",
            )
        if len(features) < minimum:
            raise DataError(
                f"{len(features)} {name} rows of features, at least {minimum} are needed",
                hint="give this set more images, or leave this score out",
            )
        broken = int((~np.isfinite(features).all(axis=1)).sum())
        if broken:
            raise DataError(
                f"{broken} of {len(features)} {name} rows of features hold nan or infinity",
                hint="look at the images behind these rows, or try another extractor",
            )
    if real.shape[1] != fake.shape[1]:
        raise DataError(
            f"real features have {real.shape[1]} dimensions, fake have {fake.shape[1]}",
            hint="extract both sets with the same extractor",
        )
    return real.astype(np.float64), fake.astype(np.float64)


def blocks(n_rows: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cut the rows into blocks; the last one may be shorter."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
