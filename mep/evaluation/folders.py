"""Scores of plain folders of images, without a recipe: one real, one or several synthetic."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mep.artifacts.score_row import JsonObject, ScoreProtocol, ScoreRow
from mep.evaluation.differences import Difference, difference, difference_by_error, holm, unlike
from mep.evaluation.evaluate import evaluate
from mep.evaluation.features import protocol_of
from mep.evaluation.folder import FeatureCache, Folder
from mep.evaluation.groups import GroupKeys, evaluate_groups
from mep.evaluation.measurement import Scored
from mep.evaluation.space import Space
from mep.evaluation.uncertainty import EvaluationSettings
from mep.methods.extractors import Extractor
from mep.methods.scores import Score
from mep.statistics.influence import error_of_difference


@dataclass(frozen=True, eq=False)
class FolderSets:
    """The folders that are compared.

    synthetic   the others are compared with the first
    train       looked through for copies; None where it is not given
    by          metadata columns, `label` say, whose values are scored one by one as well
    group       metadata column of the real images, a slide or a patient, whose images are not independent
    size_px     side to which all images are brought; None: by `common_resolution`
    """

    real: Folder
    synthetic: Sequence[Folder]
    train: Folder | None = None
    by: Sequence[str] = ()
    group: str | None = None
    size_px: int | None = None

    def common_resolution(self) -> int | None:
        """Side in pixels to which all images are brought; None where all are of one size, and stay as they are.

        The least of the folders' median shorter sides: enlarging one set would compare sharp images with blurred ones.
        """
        folders = [self.real, *self.synthetic, *([self.train] if self.train else [])]
        if len(np.unique(np.concatenate([folder.sizes for folder in folders]), axis=0)) == 1:
            return None
        return int(min(np.median(folder.sizes.min(axis=1)) for folder in folders))


@dataclass(frozen=True)
class FolderComparison:
    """A score of a folder minus that of the first, or why no difference is given.

    row             of the first folder
    difference      value with its error; None where nobody knows how certain it is
    p_holm          p adjusted among all but the first metric
    """

    row: ScoreRow
    folder: str
    baseline: str
    value: float | None = None
    difference: Difference | None = None
    unlike: Sequence[str] = ()
    reason: str | None = None
    p_holm: float | None = None

    def to_json(self) -> JsonObject:
        """What is known, by name."""
        fields: JsonObject = {
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
            fields |= {name: value for name, value in asdict(self.difference).items() if name != "value"}
        fields |= {"folder": self.folder, "baseline": self.baseline}
        fields |= {"p_holm": self.p_holm}
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
    settings: EvaluationSettings,
    cache: FeatureCache,
) -> Evaluation:
    """Score every synthetic folder against the real one, all at equal numbers.

    DataError   unlike folders, a column that is not there, features that are not finite
    """
    size = folders.size_px or folders.common_resolution()
    rows: dict[str, list[Scored]] = {str(folder.path): [] for folder in folders.synthetic}
    most = min(map(len, [folders.real, *folders.synthetic]))
    for extractor in extractors:
        for folder, space in _spaces(folders, extractor, size, cache):
            rows[str(folder.path)] += evaluate(space, scores, settings, most=most)
            for column in folders.by:
                keys = GroupKeys.of_one(folders.real.column(column), folder.column(column))
                rows[str(folder.path)] += evaluate_groups(space, scores, column, keys, settings)
    return Evaluation(rows, list(_comparisons(rows)))


def _spaces(
    folders: FolderSets, extractor: Extractor, size: int | None, cache: FeatureCache
) -> Iterator[tuple[Folder, Space]]:
    """The feature space of every synthetic folder."""
    real = cache.features(folders.real, extractor, size)
    train = None if folders.train is None else cache.features(folders.train, extractor, size)
    groups = None
    if folders.group is not None:
        groups = np.unique(folders.real.column(folders.group), return_inverse=True)[1]
    protocol = ScoreProtocol.from_json({"dtype": "float32"} | protocol_of(extractor, real.shape[1], size))
    for folder in folders.synthetic:
        yield (
            folder,
            Space(
                protocol=replace(protocol, image_format={"real": folders.real.format, "fake": folder.format}),
                real=real,
                fakes={"samples": cache.features(folder, extractor, size)},
                train=train,
                groups=groups,
                flags=("unlike_channels",) if set(folders.real.modes) != set(folder.modes) else (),
                metric_name=extractor.metric_name,
            ),
        )


def _comparisons(rows: dict[str, list[Scored]]) -> Iterator[FolderComparison]:
    (baseline, first), *others = rows.items()
    rows_of_samples = [scored for scored in first if scored.row.subject == "samples"]
    compared = [scored for scored in rows_of_samples if not scored.row.metric.endswith("_null")]
    for folder, of_folder in others:
        counterparts = {_key(other.row): other for other in of_folder}
        comparisons = [
            _compared(of_first, other, FolderComparison(of_first.row, folder, baseline))
            for of_first in compared
            if (other := counterparts.get(_key(of_first.row)))
        ]
        yield from _with_p_values(comparisons)


def _with_p_values(comparisons: list[FolderComparison]) -> Iterator[FolderComparison]:
    """p adjusted for the number of tests, but not of the first metric: it was named beforehand."""
    tested = [comparison.difference if place else None for place, comparison in enumerate(comparisons)]
    adjusted = holm([math.nan if delta is None else delta.p for delta in tested])
    for comparison, p in zip(comparisons, adjusted, strict=True):
        yield replace(comparison, p_holm=None if math.isnan(p) else p)


def _key(row: ScoreRow) -> tuple[str, ...]:
    return row.protocol.extractor or "", row.metric, row.subject, row.reference, row.group


def _compared(first: Scored, other: Scored, comparison: FolderComparison) -> FolderComparison:
    """Other minus first, or why that is not given."""
    if reasons := unlike(first.row.to_json(), other.row.to_json()):
        return replace(comparison, unlike=reasons, reason=f"they differ in {', '.join(reasons)}")
    value, value_of_other = first.row.estimate.value, other.row.estimate.value
    if value is None or value_of_other is None:
        return replace(comparison, reason=first.row.reason or other.row.reason)
    if first.influence and other.influence:
        error = error_of_difference(other.influence, first.influence)
        value = value_of_other - value
        return replace(comparison, value=value, difference=difference_by_error(value, error))
    if len(first.halves) < 2 or not (np.isfinite(first.halves).all() and np.isfinite(other.halves).all()):
        unsure = "there are no halves to tell how certain it is"
        return replace(comparison, value=value_of_other - value, reason=unsure)
    delta = difference(other.halves, first.halves, value_of_other, value)
    return replace(comparison, value=delta.value, difference=delta)
