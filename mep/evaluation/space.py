"""Sets of images in one feature space, and how they are brought to equal size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.score_row import Counts, ScoreProtocol
from mep.evaluation.measurement import Comparison, MetricName
from mep.evaluation.uncertainty import Groups
from mep.methods.scores import Rows

if TYPE_CHECKING:
    from mep.evaluation.matching import Match


@dataclass(frozen=True, eq=False)
class Space:
    """Sets of images in one feature space.

    protocol    of the features and of the generated images; scores fill in the rest
    real        float32 (n, d)      held-out images
    fakes       subject -> float32 (m, d); `samples` are the generated images
    train       float32 (t, d)      training images; None where there are none
    groups      int64 (n,)          slide or patient of every real image; None where they are not known
    paired      subjects whose images are the real ones, changed: they are drawn together
    flags       of every row
    suffix      added to the names of metrics
    """

    protocol: ScoreProtocol
    real: Rows
    fakes: dict[str, Rows]
    train: Rows | None = None
    groups: Groups | None = None
    paired: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ()
    metric_name: MetricName = lambda metric, n, settings: metric
    suffix: str = ""


@dataclass(frozen=True, eq=False)
class EqualSizeSets:
    """The sets of a space, all of the size of the smallest.

    fakes   subject -> float32 (n, d); where there are training images, they are the subject `train` as well
    more    float32 (t, d)      training images that null values are told from
    match   what the sets were drawn by; None where held-out images are as they are
    """

    space: Space
    real: Rows
    fakes: dict[str, Rows]
    groups: Groups | None
    more: Rows | None
    seed: int
    match: Match | None = None

    @classmethod
    def draw(cls, space: Space, seed: int, most: int | None = None) -> Self:
        """Draw the sets; `most` limits their size further. The draw depends on the seed and the sizes only."""
        sets = [space.real, *space.fakes.values(), *([] if space.train is None else [space.train])]
        n = min([*map(len, sets), *([most] if most else [])])
        rows = drawn(len(space.real), n, seed, 0)
        fakes = {
            subject: features[rows if subject in space.paired else drawn(len(features), n, seed, 1)]
            for subject, features in space.fakes.items()
        }
        if space.train is not None:
            fakes["train"] = space.train[drawn(len(space.train), n, seed, 2)]
        groups = None if space.groups is None else space.groups[rows]
        return cls(space, space.real[rows], fakes, groups, space.train, seed)

    @classmethod
    def matched(cls, space: Space, match: Match, seed: int) -> Self:
        """The sets in the mix of the generated images."""
        fakes = {
            subject: features[match.heldout if subject in space.paired else match.samples]
            for subject, features in space.fakes.items()
        }
        more = None if space.train is None or match.train is None else space.train[match.train]
        if more is not None:
            fakes["train"] = more
        groups = None if space.groups is None else space.groups[match.heldout]
        return cls(space, space.real[match.heldout], fakes, groups, more, seed, match)

    def comparison(self, subject: str, reference: str = "") -> Comparison:
        """What is common to the rows of a subject; without a reference, against the held-out images of these sets."""
        space, fake = self.space, self.fakes[subject]
        fake_of = space.train if subject == "train" else space.fakes[subject]
        n_fake_of = 0 if fake_of is None else len(fake_of)
        counts = Counts(len(self.real), len(fake), len(space.real), n_fake_of, n_groups(self.groups))
        return Comparison(
            subject,
            counts,
            protocol=replace(space.protocol, seed=self.seed),
            reference=reference or ("matched" if self.match else "heldout"),
            matching=self.match.matching if self.match else None,
            flags=space.flags,
            metric_name=space.metric_name,
        )


def n_groups(groups: Groups | None) -> int | None:
    return None if groups is None else len(np.unique(groups))


def drawn(n_rows: int, n: int, seed: int, stream: int) -> NDArray[np.int64]:
    """n of the rows in random order, the same for the same sizes and seed."""
    return np.random.default_rng([seed, 17, stream, n_rows]).permutation(n_rows)[:n]
