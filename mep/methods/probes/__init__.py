"""Probes: classifiers that are trained on images to say what those are worth. One file, one probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np

from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts.score_row import JsonObject
    from mep.machine.work import Work

Inputs: TypeAlias = "Callable[[NDArray[np.int64]], NDArray[Any]]"
"""Rows -> what the probe sees of them: features float32 (b, d), or pixels uint8 (b, h, w, 3)."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Images to train or test on.

    rows    int64 (n,)   into whatever `read` reads; one image may come several times
    labels  int64 (n,)   0 to k - 1
    """

    read: Inputs
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def all(self) -> NDArray[Any]:
        return self.read(self.rows)

    def directions(self) -> NDArray[np.float64]:
        """Features of length one, float64 (n, d); those of zeros stay zero.

        Means and deviations of the images that a probe is trained on are no scale for others: generated images differ
        from real ones in both, often by more than the classes differ among each other.
        """
        features = self.all().astype(np.float64)
        return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12))


@dataclass(frozen=True)
class Fitted:
    """A trained probe: predict gives probabilities, float64 (n, k); chosen is what the validation images decided."""

    predict: Callable[[Examples], NDArray[np.float64]]
    chosen: JsonObject = field(default_factory=dict)


class Probe(Method):
    """A classifier with a fixed way of training, the same for real and for synthetic images."""

    noun: ClassVar[str] = "probe"

    sees: ClassVar[Literal["features", "pixels", "nothing"]] = "features"
    """What its inputs are."""
    draws: ClassVar[bool] = False
    """Whether two trainings on the same images differ, and several are worth their time."""

    def fit(self, train: Examples, validation: Examples, n_classes: int, *, seed: int, work: Work) -> Fitted:
        """Train on images of every class; whatever has to be chosen is chosen on `validation`, real ones of each."""
        raise NotImplementedError
