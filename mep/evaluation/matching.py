"""Real images in the mix of a generated set: what is left of a difference when both sets hold as much of everything.

Held-out images as they are ask whether a set is right as a whole: 45 of 100 of them may be stained, 50 of 100 generated
ones. Held-out images drawn to the mix of the generated set ask whether the images are right.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import Assignment, References, TrainingSet
from mep.artifacts.score_row import Matching
from mep.config import digest
from mep.evaluation.space import drawn

Stratum: TypeAlias = tuple[str | None, int | None]
"""The label and the cluster of an image; None where it does not count."""
Key: TypeAlias = Literal["label", "cluster"]
RowNumbers: TypeAlias = NDArray[np.int64]

LARGEST_VARIATION = 0.05
"""Total variation distance that the drawn images may have from the mix that is wanted: one image in twenty."""
ROUND_OFF = 1e-9
SMALLEST_PART = 0.5
"""Share of the images of equal sets that has to be left; less would buy a fair mix with too wide an interval."""
WORTH_TRAINING_IMAGES = 0.9
"""Share of those that has to be left to have as many training images beside them."""


@dataclass(frozen=True, eq=False)
class Match:
    """Rows of the sets of images that are drawn to one mix, as many of each; in the order of the natural draw.

    by          what the mix is of: label and cluster, one of them, or nothing where no such mix can be drawn
    total_variation     from the mix that was wanted to the one that was drawn: 0 for the same, 1 for nothing in common
    heldout     int64 (n,)
    samples     int64 (n,)
    train       int64 (n,)  images of the arm's training set; None where these are too few
    digest      of the names of the held-out images
    """

    by: tuple[Key, ...]
    total_variation: float
    heldout: RowNumbers
    samples: RowNumbers
    train: RowNumbers | None
    digest: str

    @property
    def matching(self) -> Matching:
        """What rows of scores say of it."""
        return Matching(list(self.by), self.digest, self.total_variation)


@dataclass(frozen=True)
class Quota:
    """Images to draw of each stratum, and how far their mix is from the one that was wanted."""

    counts: dict[Stratum, int]
    total_variation: float

    @property
    def n(self) -> int:
        return sum(self.counts.values())


def match_of(
    references: References,
    training_set: TrainingSet,
    assignment: Assignment,
    labels_asked: Sequence[str | None],
    seed: int,
) -> Match:
    """Draw the sets to the mix of labels that was generated and, within each label, of clusters that was trained on.

    labels_asked    of every sample, by its caption

    Clusters count where the training images were balanced by them. The mix of clusters is that of the training images
    and not of the captions, so that arms that were trained on the same images are held against the same ones, whether
    their captions name clusters or not. A held-out image has the cluster of the image as it is.
    """
    table, train_ids = references.tables["heldout"], references.tables["train"]["id"]
    real = list(zip(table["label"], assignment.parts["heldout"][:, 0].tolist(), strict=True))
    kinds = zip(training_set.labels, training_set.clusters.tolist(), strict=True)
    kind_of = dict(zip(training_set.ids, kinds, strict=True))
    n = min(len(real), len(labels_asked), len(train_ids))
    for by in _levels(training_set, labels_asked):
        heldout = [_stratum(by, *kind) for kind in real]
        train = [_stratum(by, *kind_of[name]) if name in kind_of else None for name in train_ids]
        target = target_mix(by, labels_asked, training_set)
        quota = largest_quota(Counter(heldout), target, n)
        if quota.n < SMALLEST_PART * n:
            continue
        paired = largest_quota(Counter(heldout) & Counter(stratum for stratum in train if stratum), target, n)
        has_train = paired.n >= WORTH_TRAINING_IMAGES * quota.n
        quota = paired if has_train else quota
        made: list[Stratum | None] = [(label if "label" in by else None, None) for label in labels_asked]
        rows = drawn_to(quota.counts, heldout, seed, 0)
        return Match(
            by=by,
            total_variation=quota.total_variation,
            heldout=rows,
            samples=drawn_to(_in_proportion(made, quota.n), made, seed, 1),
            train=drawn_to(quota.counts, train, seed, 2) if has_train else None,
            digest=digest(sorted(table["id"][row] for row in rows))[:16],
        )
    raise AssertionError("images of any kind can be drawn")


def _levels(training_set: TrainingSet, labels_asked: Sequence[str | None]) -> list[tuple[Key, ...]]:
    """What a mix may be of, the finest first; nothing at last, which is the mix of the held-out images themselves."""
    labels: tuple[Key, ...] = () if None in labels_asked else ("label",)
    clusters: tuple[Key, ...] = ("cluster",) if "cluster" in training_set.balanced_by else ()
    return list(dict.fromkeys(((*labels, *clusters), labels, ())))


def _stratum(by: tuple[Key, ...], label: str | None, cluster: int) -> Stratum:
    return label if "label" in by else None, cluster if "cluster" in by else None


def target_mix(
    by: tuple[Key, ...], labels_asked: Sequence[str | None], training_set: TrainingSet
) -> dict[Stratum, float]:
    """Stratum -> its share of the generated images, the shares of clusters being those of what a model was shown."""
    labels = Counter(label if "label" in by else None for label in labels_asked)
    target: dict[Stratum, float] = {}
    for label, n_asked in labels.items():
        rows = [row for row, known in enumerate(training_set.labels) if label in (None, known)]
        if "cluster" not in by or not rows:
            target[label, None] = n_asked / len(labels_asked)
            continue
        weights = np.bincount(training_set.clusters[rows], training_set.weights[rows])
        for cluster in np.flatnonzero(weights).tolist():
            target[label, cluster] = n_asked / len(labels_asked) * float(weights[cluster] / weights.sum())
    return target


def largest_quota(available: Mapping[Stratum, int], target: Mapping[Stratum, float], most: int) -> Quota:
    """Most images, up to `most`, whose mix is within LARGEST_VARIATION of the target; none where there are none such.

    available   images that there are; those of strata without a share are not drawn
    target      shares that add up to 1; strata without an image count in the total variation
    """
    shares = np.array([*target.values()])
    there = np.array([available.get(stratum, 0) for stratum in target])
    sizes = np.arange(min(most, int(there.sum())), 0, -1)
    # n images have at most min(there, n share) of each stratum in common with the target
    common = np.array([np.minimum(there, n * shares).sum() / n for n in sizes.tolist()])
    for n in sizes[common >= 1 - LARGEST_VARIATION - ROUND_OFF].tolist():
        counts = _apportioned(n, shares, there)
        variation = float(np.abs(counts / n - shares).sum() / 2)
        if variation <= LARGEST_VARIATION + ROUND_OFF:
            return Quota(dict(zip(target, counts.tolist(), strict=True)), round(variation, 6))
    return Quota({}, 1.0)


def _apportioned(n: int, shares: NDArray[np.float64], there: RowNumbers) -> RowNumbers:
    """n images by largest remainder, int64 (strata,), no more of a stratum than there are; n is at most their sum."""
    counts: RowNumbers = np.minimum(there, np.floor(n * shares + ROUND_OFF).astype(np.int64))
    for _ in range(n - int(counts.sum())):
        counts[np.argmax(np.where(counts < there, n * shares - counts, -np.inf))] += 1
    return counts


def _in_proportion(strata: Sequence[Stratum | None], n: int) -> dict[Stratum, int]:
    """How many of n images are of each stratum, in proportion to all of them."""
    available = Counter(stratum for stratum in strata if stratum)
    there = np.array([*available.values()])
    return dict(zip(available, _apportioned(n, there / there.sum(), there).tolist(), strict=True))


def drawn_to(counts: Mapping[Stratum, int], strata: Sequence[Stratum | None], seed: int, stream: int) -> RowNumbers:
    """Rows of that many images of each stratum, int64 (n,), each at most once: the first of the natural draw."""
    left, rows = Counter(counts), []
    for row in drawn(len(strata), len(strata), seed, stream).tolist():
        stratum = strata[row]
        if stratum is not None and left[stratum] > 0:
            left[stratum] -= 1
            rows.append(row)
    return np.array(rows, dtype=np.int64)
