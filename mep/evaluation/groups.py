"""Scores label by label, cluster by cluster, prompt by prompt: a set can be right as a whole and wrong in each part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.score_row import Counts, Missing, Null, Reason
from mep.evaluation.measurement import Comparison, Measurement, Scored, estimated, jackknife_error, measure
from mep.evaluation.space import Space, drawn, n_groups
from mep.evaluation.uncertainty import EvaluationSettings
from mep.methods.scores import Score

PLANE = 64
"""Components in which groups are compared by their Fréchet distance: the whole space would need thousands of images."""
AGGREGATES = ("macro", "weighted", "worst")
"""The mean over groups, that by their shares of the held-out images, and the worst group."""


@dataclass(frozen=True)
class GroupKeys:
    """The groups of every held-out image and of every sample; an image may belong to several, or to none."""

    real: Sequence[Sequence[str]]
    fake: Sequence[Sequence[str]]

    @classmethod
    def of_one(cls, real: Sequence[str | None], fake: Sequence[str | None]) -> Self:
        """Of images that belong to one group each; None for an image that belongs to none."""
        return cls(*([[] if name is None else [name] for name in names] for names in (real, fake)))

    @property
    def asked(self) -> list[str]:
        """Groups that have samples: what captions do not name is no group."""
        return sorted({name for groups in self.fake for name in groups})

    @property
    def overlap(self) -> bool:
        return any(len(groups) > 1 for groups in (*self.real, *self.fake))


@dataclass(frozen=True, eq=False)
class _Group:
    """Rows of the images of a group, int64 each."""

    name: str
    real: NDArray[np.int64]
    fake: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Member:
    """A metric of one group, and how many held-out images the group has."""

    scored: Scored
    n_heldout: int


def evaluate_groups(
    space: Space, scores: Sequence[Score], kind: str, keys: GroupKeys, settings: EvaluationSettings
) -> list[Scored]:
    """Rows of every group of one kind, `label=healthy` and so on, and of the aggregates over them.

    kind    label, cluster or prompt
    keys    groups without a sample are missing from the captions, and are no groups here
    """
    scores = [score for score in scores if score.grouped]
    plane = _plane(space)
    rows: list[Scored] = []
    members: dict[tuple[int, str], list[_Member]] = {}
    for name in keys.asked:
        real, fake = (np.flatnonzero([name in groups for groups in of_set]) for of_set in (keys.real, keys.fake))
        group = _Group(f"{kind}={name}", real, fake)
        for place, score in enumerate(scores):
            for metric, scored in _group_rows(plane if score.in_plane else space, score, group, settings):
                rows.append(scored)
                members.setdefault((place, metric), []).append(_Member(scored, len(real)))
    for (place, metric), of_groups in members.items():
        rows += _aggregates(scores[place], metric, kind, of_groups, keys.overlap)
    return rows


def _plane(space: Space) -> Space:
    """The space in its largest components, fitted on real images once for all groups, where it is wider than that."""
    pool = space.real if space.train is None else np.concatenate([space.real, space.train])
    if space.real.shape[1] <= PLANE or len(pool) < PLANE:
        return space
    from sklearn.decomposition import PCA

    fitted = PCA(PLANE, random_state=0).fit(pool)
    preprocessing = f"{space.protocol.preprocessing}, {PLANE} principal components of real images"
    return replace(
        space,
        protocol=replace(space.protocol, d=PLANE, preprocessing=preprocessing),
        real=fitted.transform(space.real).astype(np.float32),
        fakes={"samples": fitted.transform(space.fakes["samples"]).astype(np.float32)},
        train=None,
        suffix=f"_pca{PLANE}",
    )


def _group_rows(
    space: Space, score: Score, group: _Group, settings: EvaluationSettings
) -> Iterator[tuple[str, Scored]]:
    """(metric, row) of one group at equal numbers."""
    seed, n = settings.seed, min(len(group.real), len(group.fake))
    rows_real = group.real[drawn(len(group.real), n, seed, 3)]
    rows_fake = group.fake[drawn(len(group.fake), n, seed, 4)]
    slides = None if space.groups is None else space.groups[rows_real]
    counts = Counts(n, n, len(group.real), len(group.fake), n_groups(slides))
    protocol = replace(space.protocol, seed=seed)
    comparison = Comparison("samples", counts, protocol, group=group.name, flags=space.flags)
    no_null = Missing(Reason.NO_VALUE, "told for all images together only")
    nulls: dict[str, float] = {}
    if n < (needed := score.group_minimum(space.real.shape[1])):
        sizes = f"{len(group.real)} held-out and {len(group.fake)} generated images"
        no_null = Missing(Reason.TOO_FEW, f"{sizes}, at least {needed} of each are needed")
        measurements = dict.fromkeys(score.better, Measurement.absent(no_null, settings.n_halves))
    else:
        real, fake = space.real[rows_real], space.fakes["samples"][rows_fake]
        measurements = measure([score], real, fake, settings, slides)[0]
        nulls = {} if score.excess else score.null(real, fake, None, seed=seed)
    for metric, measurement in measurements.items():
        null = Null.of(nulls.get(metric, no_null))
        yield metric, comparison.scored(score, metric, measurement, null, suffix=space.suffix)


def _aggregates(score: Score, metric: str, kind: str, members: Sequence[_Member], overlap: bool) -> Iterator[Scored]:
    """Macro mean, mean by real frequency, and the worst group, over the groups that have a number."""
    first = members[0].scored.row
    measured = [member for member in members if member.scored.row.estimate.value is not None]
    total = _total([member.scored.row.counts for member in measured])
    for aggregate in AGGREGATES:
        comparison = Comparison("samples", total, first.protocol, group=f"{kind}:{aggregate}")
        if measured:
            measurement, null = _weighted(measured, _weights(aggregate, measured, score.better[metric]), overlap)
        else:
            missing = Missing(Reason.TOO_FEW, f"all {len(members)} groups are too small")
            measurement, null = Measurement.absent(missing, members[0].scored.halves.size), Null.of(missing)
        if n_missing := len(members) - len(measured):
            text = f"{n_missing} of {len(members)} groups are too small and left out"
            missing = measurement.missing or Missing(Reason.TOO_FEW, text)
            measurement = replace(measurement, missing=missing, flags=("groups_left_out",))
        yield comparison.scored(score, metric, measurement, null, suffix=first.metric.removeprefix(metric))


def _total(counts: Sequence[Counts]) -> Counts:
    names = "n_real", "n_fake", "n_real_of", "n_fake_of"
    return Counts(*(sum(getattr(group, name) or 0 for group in counts) for name in names))


def _weighted(members: Sequence[_Member], weights: NDArray[np.float64], overlap: bool) -> tuple[Measurement, Null]:
    """The weighted mean over groups that have a number, and what real images reach in it.

    Errors of groups that share images may be one and the same: such groups are taken as if they were. Halves of groups
    are drawn apart, so that the mean of k of them spreads too little, by the square root of k where weights are equal.
    """
    rows = [member.scored.row for member in members]
    halves = np.tensordot(weights, np.stack([member.scored.halves for member in members]), 1)
    errors = [row.estimate.se for row in rows if row.estimate.se is not None]
    freedom: int | None = len(halves) - 1
    value = float(weights @ np.array([row.estimate.value for row in rows]))
    if overlap:
        halves = value + (halves - value) / np.sqrt(np.square(weights).sum())
    se, method = (
        jackknife_error(halves),
        f"{len(halves)} pairs of halves{', of groups that overlap' if overlap else ''}",
    )
    if se is None and len(errors) == len(rows):
        se = float(weights @ errors if overlap else np.sqrt(np.square(weights) @ np.square(errors)))
        method, freedom = "groups added up", None
    estimate = estimated(value, se, None if se is None else method, freedom)
    unknown = [row.null for row in rows if row.null.value is None]
    null = unknown[0] if unknown else Null(float(weights @ np.array([row.null.value for row in rows])))
    return Measurement(estimate, halves), null


def _weights(aggregate: str, members: Sequence[_Member], better: str) -> NDArray[np.float64]:
    if aggregate == "macro":
        return np.full(len(members), 1 / len(members))
    if aggregate == "weighted":
        sizes = [member.n_heldout for member in members]
        return np.asarray(sizes, dtype=float) / sum(sizes)
    values = np.array([member.scored.row.estimate.value for member in members])
    worst = values.argmax() if better == "lower" else values.argmin()
    return np.asarray(np.eye(len(values))[worst])
