"""Outlier detectors: which images should not shape a cluster or a caption. One file, one detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Images
    from mep.machine.work import Work


@dataclass(frozen=True)
class Verdict:
    """Which of n images stay, and why."""

    mask: NDArray[np.bool_]  # (n,), True stays
    reasons: list[str]  # n: the value and the limit, as in `std_v 3.2 < 4`; empty for images that stay
    features: dict[str, list[float]]  # the n values that the images were judged by


class Detector(Method):
    """Tells inliers from outliers, by pixels or by vectors."""

    noun: ClassVar[str] = "detector"

    def check(self, images: Images) -> None:
        """DataError where what the detector was given does not fit the dataset, of which these are all images."""

    def inspect(self, images: Images, vectors: NDArray[np.float32], train: NDArray[np.bool_], work: Work) -> Verdict:
        """A verdict on n images.

        images      n, whose pixels a detector may read
        vectors     float32 (n, d)
        train       bool (n,)   True for images that limits may be learned from; the others are only judged
        """
        raise NotImplementedError


def judge(features: dict[str, NDArray[np.float64]], low: dict[str, float], high: dict[str, float]) -> Verdict:
    """Remove the images that lie below a lower or above an upper limit of a feature."""
    n = len(next(iter(features.values())))
    reasons: list[list[str]] = [[] for _ in range(n)]
    for limits, sign, beyond in ((low, "<", np.less), (high, ">", np.greater)):
        for name, limit in limits.items():
            for row in np.flatnonzero(beyond(features[name], limit)):
                reasons[row].append(f"{name} {features[name][row]:.4g} {sign} {limit:.4g}")
    texts = [", ".join(broken) for broken in reasons]
    mask = np.array([not text for text in texts], dtype=bool)
    return Verdict(mask, texts, {name: values.tolist() for name, values in features.items()})


class ByScore(Detector):
    """Scores vectors, and removes a fixed share of the training images: those with the highest scores."""

    score: ClassVar[str]
    """What the score is called in reasons."""

    share: float = Field(0.01, gt=0, lt=0.5)
    """Share of the training images that is removed."""
    rows: int = Field(20_000, ge=100, le=1_000_000_000)
    """Training images, drawn by the seed, that the others are compared with."""

    def inspect(self, images: Images, vectors: NDArray[np.float32], train: NDArray[np.bool_], work: Work) -> Verdict:
        rows = np.flatnonzero(train)
        if len(rows) > self.rows:
            rows = np.sort(work.rng("detector").choice(rows, self.rows, replace=False))
        scores = self.scores(vectors, rows, work.seed_for("detector") % 2**32)
        return judge({self.score: scores}, {}, {self.score: float(np.quantile(scores[train], 1 - self.share))})

    def scores(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        """float64 (n,), higher is stranger.

        vectors     float32 (n, d)
        rows        int64 (m,)   sorted rows of the training images on which the detector is fitted
        """
        raise NotImplementedError
