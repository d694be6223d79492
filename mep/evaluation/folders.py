"""Scores of plain folders of images, without a recipe: one real, one or several synthetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mep.artifacts.score_row import ScoreProtocol, ScoreRow
from mep.evaluation.evaluate import evaluate
from mep.evaluation.features import protocol_of
from mep.evaluation.folder import FeatureCache, Folder, common_resolution
from mep.evaluation.groups import GroupKeys, evaluate_groups
from mep.evaluation.measurement import Scored
from mep.evaluation.space import Space, drawn
from mep.evaluation.uncertainty import Difference, EvaluationSettings, difference, holm, unlike
from mep.methods.extractors import Extractor
from mep.methods.scores import Score
from mep.methods.scores.kid import permutation_p


@dataclass(frozen=True, eq=False)
class FolderSets:
    """The folders that are compared; `train` is looked through for copies, and None where it is not given."""

    real: Folder
    synthetic: Sequence[Folder]
    train: Folder | None = None

    @property
    def all(self) -> list[Folder]:
        return [self.real, *self.synthetic, *([self.train] if self.train else [])]


@dataclass(frozen=True)
class FolderOptions:
    """How folders are compared.

    by          metadata columns, `label` say, whose values are scored one by one as well
    group       metadata column of the real images, a slide or a patient, whose images are not independent
    size_px     side to which all images are brought; None: by `common_resolution`
    """

    settings: EvaluationSettings
    by: Sequence[str] = ()
    group: str | None = None
    size_px: int | None = None


@dataclass(frozen=True)
class FolderComparison:
    """A score of a folder minus that of the first, or why no difference is given.

    row             of the first folder
    value           the difference; None where there is none
    difference      it with its error; None where nobody knows how certain it is
    unlike          what differs in how the two were made
    p_holm          p adjusted among all but the first metric
    p_permutation   of kid
    """

    row: ScoreRow
    folder: str
    baseline: str
    value: float | None = None
    difference: Difference | None = None
    unlike: Sequence[str] = ()
    reason: str | None = None
    p_holm: float | None = None
    p_permutation: float | None = None

    def to_json(self) -> dict[str, Any]:
        """What is known, by name."""
        fields: dict[str, Any] = {
            "extractor": self.row.protocol.extractor,
            "metric": self.row.metric,
            "reference": self.row.reference,
            "group": self.row.group,
            "better": self.row.better,
            "unlike": list(self.unlike) or None,
            "difference": self.value,
            "reason": self.reason,
        }
        if self.difference is not None:
            fields |= {name: getattr(self.difference, name) for name in ("se", "low", "high", "p")}
        fields |= {"folder": self.folder, "baseline": self.baseline}
        fields |= {"p_holm": self.p_holm, "p_permutation": self.p_permutation}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Rows of every synthetic folder, by its path, and how each compares with the first."""

    rows: dict[str, list[Scored]]
    comparisons: list[FolderComparison]


def evaluate_folders(
    folders: FolderSets,
    extractors: Sequence[Extractor],
    scores: Sequence[Score],
    options: FolderOptions,
    cache: FeatureCache,
) -> Evaluation:
    """Score every synthetic folder against the real one, all at equal numbers.

    DataError   unlike folders, a column that is not there, features that are not finite
    """
    size, settings = options.size_px or common_resolution(folders.all), options.settings
    rows: dict[str, list[Scored]] = {str(folder.path): [] for folder in folders.synthetic}
    permutation_ps: dict[tuple[str, str], float] = {}
    most = min(map(len, [folders.real, *folders.synthetic]))
    for extractor in extractors:
        samples = []
        for folder, space in _spaces(folders, extractor, size, options.group, cache):
            rows[str(folder.path)] += evaluate(space, scores, settings, most=most)
            for column in options.by:
                keys = GroupKeys(folders.real.column(column), folder.column(column))
                rows[str(folder.path)] += evaluate_groups(space, scores, column, keys, settings)
            samples.append(space.fakes["samples"][drawn(len(folder), most, settings.seed, 1)])
        for folder, others in zip(folders.synthetic[1:], samples[1:], strict=True):
            p = permutation_p(space.real, samples[0], others, seed=settings.seed)
            permutation_ps[extractor.name, str(folder.path)] = p
    return Evaluation(rows, list(_comparisons(rows, permutation_ps)))


def _spaces(
    folders: FolderSets, extractor: Extractor, size: int | None, group: str | None, cache: FeatureCache
) -> Iterator[tuple[Folder, Space]]:
    """The feature space of every synthetic folder."""
    real = cache.features(folders.real, extractor, size)
    train = None if folders.train is None else cache.features(folders.train, extractor, size)
    groups = None if group is None else np.unique(folders.real.column(group), return_inverse=True)[1]
    protocol = ScoreProtocol.from_json({"dtype": "float32"} | protocol_of(extractor, real.shape[1], size))
    for folder in folders.synthetic:
        image_format = {"real": folders.real.format, "fake": folder.format}
        yield (
            folder,
            Space(
                protocol=replace(protocol, image_format=image_format),
                real=real,
                fakes={"samples": cache.features(folder, extractor, size)},
                train=train,
                groups=groups,
                flags=("unlike_channels",) if set(folders.real.modes) != set(folder.modes) else (),
                metric_name=extractor.metric_name,
            ),
        )


def _comparisons(rows: dict[str, list[Scored]], ps: dict[tuple[str, str], float]) -> Iterator[FolderComparison]:
    (baseline, first), *others = rows.items()
    for name, scored in others:
        named = {_place(other.row): other for other in scored}
        compared = [
            replace(_compared(of_first, named[_place(of_first.row)]), folder=name, baseline=baseline)
            for of_first in first
            if _place(of_first.row) in named
            and of_first.row.subject == "samples"
            and not of_first.row.metric.endswith("_null")
        ]
        tested = [place for place, of_pair in enumerate(compared) if place and of_pair.difference]
        # the first metric is the one that was named beforehand
        ps_of_tests = [delta.p for place in tested if (delta := compared[place].difference)]
        for place, p in zip(tested, holm(ps_of_tests), strict=True):
            compared[place] = replace(compared[place], p_holm=p)
        for of_pair in compared:
            row = of_pair.row
            by_permutation = (row.metric, row.group, row.reference) == ("kid", "all", "heldout")
            yield replace(of_pair, p_permutation=ps[row.protocol.extractor or "", name]) if by_permutation else of_pair


def _place(row: ScoreRow) -> tuple[str | None, ...]:
    return (row.protocol.extractor, row.metric, row.subject, row.reference, row.group)


def _compared(first: Scored, other: Scored) -> FolderComparison:
    """Other minus first, or why that is not given."""
    comparison = FolderComparison(first.row, "", "")
    if reasons := unlike(first.row.to_json(), other.row.to_json()):
        return replace(comparison, unlike=reasons, reason=f"they differ in {', '.join(reasons)}")
    value, value_of_other = first.row.estimate.value, other.row.estimate.value
    if value is None or value_of_other is None:
        return replace(comparison, reason=first.row.reason or other.row.reason)
    if not (np.isfinite(first.halves).all() and np.isfinite(other.halves).all() and len(first.halves) > 1):
        unsure = "there are no halves to tell how certain it is"
        return replace(comparison, value=value_of_other - value, reason=unsure)
    delta = difference(other.halves, first.halves, value_of_other, value)
    return replace(comparison, value=delta.value, difference=delta)
