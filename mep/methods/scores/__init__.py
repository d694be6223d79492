"""Scores: how far generated features lie from real ones. One file, one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from mep.errors import DataError
from mep.registry import Method
from mep.statistics.distances import Arithmetic
from mep.statistics.pairwise import PairwiseResult, compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts.score_row import JsonObject, Missing
    from mep.statistics.influence import Influence

Better: TypeAlias = dict[str, Literal["lower", "higher"]]
Rows: TypeAlias = "NDArray[np.floating]"
"""float32 or float64 (n, d), one row an image."""

FEWEST_IN_A_GROUP = 11
"""2 k + 1 of the widest neighbourhoods, k = 5: a group of fewer images has no number."""


class TooFewImages(DataError):
    """A set has fewer images than a score needs."""


def missing_of(error: DataError) -> Missing:
    """Why a score gave no number."""
    from mep.artifacts.score_row import Missing, Reason  # here: reading a recipe needs no table of scores

    return Missing(Reason.TOO_FEW if isinstance(error, TooFewImages) else Reason.NO_VALUE, error.message)


class Score(Method):
    """A comparison of two sets of features; `real` and `fake` always come in that order."""

    noun: ClassVar[str] = "score"

    better: ClassVar[Better] = {}
    """Every metric that the score gives, and which way is better."""
    reads: ClassVar[Literal["features", "assignments"]] = "features"
    """What its rows are: features of an extractor, or (wanted, found) pairs of the stage `assignment`."""
    needs_train: ClassVar[bool] = False
    """Whether it looks for generated images among the training images."""
    halved: ClassVar[bool] = True
    """Whether its value on random halves tells how certain it is."""
    smooth: ClassVar[bool] = False
    """Whether single images and pairs of images make it up. Neighbourhoods do not: they widen as a set is halved."""
    excess: ClassVar[tuple[str, ...]] = ()
    """Metrics of which tables also show what real images reach, and by how much the generated ones exceed it."""
    gap: ClassVar[bool] = False
    """Whether it is measured against training images too: much nearer to those than to held-out ones is memorised."""
    grouped: ClassVar[bool] = False
    """Whether it is measured label by label, cluster by cluster and prompt by prompt as well."""
    in_plane: ClassVar[bool] = False
    """Whether groups are compared in the largest components of the features only."""
    full_rank: ClassVar[bool] = False
    """Whether it needs more images than dimensions to say more about the images than about their number."""

    def minimum(self) -> int:
        """Rows that each set needs for the numbers to mean anything."""
        return 2

    def group_minimum(self, d: int) -> int:
        """Images that a group needs, real and generated each, in d dimensions."""
        return max(self.minimum(), FEWEST_IN_A_GROUP)

    def describe(
        self, real: Rows, fake: Rows, train: Rows | None, *, seed: int, device: str = "cpu"
    ) -> tuple[Rows, Rows]:
        """What `measure` reads of every image, one row each; the features themselves where a score does not say."""
        return real, fake

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        """Metric -> value, from (n, d) and (m, d) in feature units, or what `describe` made of them.

        DataError   unlike widths, non-finite features, fewer rows than `minimum`
        """
        raise NotImplementedError

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        """What real images would reach in the place of the fakes; metrics without such a value are absent.

        DataError   there are too few real images to know
        """
        return {}

    def protocol(self, metric: str) -> JsonObject:
        """What else a metric depends on, such as the `k` of neighbourhoods or the `kernel`."""
        return {}


class PairScore(Score):
    """A score that is read off the distances of all pairs, so that one pass serves all of them."""

    kernel: ClassVar[bool] = False

    def neighbourhoods(self) -> tuple[int, ...]:
        """The k of every neighbourhood that it reads."""
        return ()

    def read(self, pairs: PairwiseResult) -> dict[str, float]:
        """Metric -> value."""
        raise NotImplementedError

    def influences(self, pairs: PairwiseResult) -> dict[str, Influence]:
        """Metric -> what every image adds, where its error has a closed form."""
        return {}

    def measure(self, real: Rows, fake: Rows) -> dict[str, float]:
        check_sets(real, fake, self.minimum())
        return self.read(compare(real, fake, ks=self.neighbourhoods(), kernel=self.kernel))


@dataclass(frozen=True)
class Measured:
    """What one score says of two sets; influences of the images, where they have a closed form."""

    values: dict[str, float]
    influences: dict[str, Influence] = field(default_factory=dict)
    missing: Missing | None = None


def measure_all(scores: Sequence[Score], real: Rows, fake: Rows, *, device: str = "cpu") -> list[Measured]:
    """All scores of two sets of features, in the order of the scores; what needs pairs shares one pass."""
    refusals = [_refusal(score, real, fake) for score in scores]
    able = [score for score, why in zip(scores, refusals, strict=True) if isinstance(score, PairScore) and not why]
    ks = sorted({k for score in able for k in score.neighbourhoods()})
    kernel, arithmetic = any(score.kernel for score in able), Arithmetic(device=device)
    pairs = compare(real, fake, ks=ks, kernel=kernel, arithmetic=arithmetic) if able else None
    return [
        Measured({}, missing=why) if why else _measured(score, real, fake, pairs)
        for score, why in zip(scores, refusals, strict=True)
    ]


def _refusal(score: Score, real: Rows, fake: Rows) -> Missing | None:
    try:
        check_sets(real, fake, score.minimum())
    except DataError as error:
        return missing_of(error)
    return None


def _measured(score: Score, real: Rows, fake: Rows, pairs: PairwiseResult | None) -> Measured:
    if isinstance(score, PairScore) and pairs is not None:
        return Measured(score.read(pairs), score.influences(pairs))
    try:
        return Measured(score.measure(real, fake))
    except DataError as error:
        return Measured({}, missing=missing_of(error))


def check_sets(real: Rows, fake: Rows, minimum: int) -> tuple[Rows, Rows]:
    """Both sets, after the checks that every score needs.

    DataError   not a table, unlike widths, non-finite features, fewer rows than `minimum`
    """
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2 or features.shape[1] == 0:
            raise DataError(
                f"{name} features have shape {features.shape}, not (images, dimensions)",
                hint="give one row of features per image",
            )
        if len(features) < minimum:
            raise TooFewImages(
                f"{len(features)} {name} rows of features, at least {minimum} are needed",
                hint="give this set more images, or leave this score out",
            )
        check_finite(features, name)
    if real.shape[1] != fake.shape[1]:
        raise DataError(
            f"real features have {real.shape[1]} dimensions, fake have {fake.shape[1]}",
            hint="extract both sets with the same extractor",
        )
    return real, fake


def check_finite(features: Rows, name: str) -> None:
    """DataError with the number of rows that hold nan or infinity."""
    broken = int((~np.isfinite(features).all(axis=1)).sum())
    if broken:
        raise DataError(
            f"{broken} of {len(features)} {name} rows of features hold nan or infinity",
            hint="look at the images behind these rows, or try another extractor",
        )


def unit_rows(rows: Rows, name: str, hint: str = "") -> NDArray[np.float64]:
    """Rows scaled to length 1; DataError with the number of those that are 0."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not lengths.all():
        raise DataError(f"{int((lengths == 0).sum())} {name} are 0 and have no direction", hint=hint)
    return np.asarray(rows / lengths, dtype=np.float64)
