"""Balancing: which images the model is trained on, picked by (label, cluster) and never by caption."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TRAIN, VALIDATION, Clusters, Images, Members, TrainingSet
from mep.artifacts.captions import BalancedGroup, keeps_the_mix
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.balancers import Choice, Groups
from mep.sections.balancing import FINDING, BalancingConfig
from mep.sections.columns import widths_of
from mep.stage import stage
from mep.stages.dataset.columns import step_of
from mep.statistics.stratification import rarest

Level: TypeAlias = tuple[NDArray[np.int64], list[str]]
"""A number for each image, -1 where it has none, and the name of each number."""


@stage(version=3, draws=True)
def balancing(config: BalancingConfig, images: Images, clusters: Clusters, *, work: Work) -> TrainingSet:
    """Pick the training images so that labels and clusters are represented as wanted."""
    rows = images.rows(clusters.ids)
    splits = images.splits[rows]
    train, validation = np.flatnonzero(splits == TRAIN), np.flatnonzero(splits == VALIDATION)
    groups = _groups(config, images, rows[train], clusters.labels[train])
    choice = config.method.pick(groups, seed=work.seed)
    if len(choice.rows) == 0:
        raise DataError(
            "balancing leaves no training image",
            hint="every label or group of `by` needs an image; {kind: none} keeps all",
            field="balancing.method",
        )
    pairs = np.where(clusters.labels >= 0, (images.labels[rows] + 1) * 2**32 + clusters.labels, -1)
    picked = train[choice.rows]
    validation = validation[np.isin(pairs[validation], pairs[picked])]
    aside, table = _members(images, clusters, rows, validation), _table(groups, choice)
    members = vars(_members(images, clusters, rows, picked))
    return TrainingSet(
        **members,
        weights=choice.weights,
        shortage=choice.shortage,
        validation=aside,
        groups=table,
        balanced_by=() if keeps_the_mix(table) else config.keys,
        cluster_names=clusters.names,
        codes=clusters.codes,
    )


def _groups(config: BalancingConfig, images: Images, rows: NDArray[np.int64], clusters: NDArray[np.int64]) -> Groups:
    """The groups of the images in `rows`; images without a cluster are never picked."""
    keys, widths = [key for key in config.keys if key != "label" or images.label_names], widths_of(config.by)
    levels = [_level(key, images, rows, clusters, widths.get(key)) for key in keys]
    everything: Level = (np.zeros(len(rows), dtype=np.int64), [""])
    if len(levels) < 2:  # labels alone are all kept; of clusters alone there may be too many to fill
        levels = [everything, *levels] if keys == ["cluster"] else [*levels, everything, everything][:2]
    (outer, outer_names), (inner, inner_names), *further = levels
    for codes, names in further:
        inner = np.where((inner >= 0) & (codes >= 0), inner * len(names) + codes, -1)
        inner_names = [f"{left}, {right}" for left in inner_names for right in names]
    return Groups(outer, np.where(clusters >= 0, inner, -1), outer_names, inner_names)


def _level(
    key: str, images: Images, rows: NDArray[np.int64], clusters: NDArray[np.int64], width: float | None
) -> Level:
    """The value that each image has for a key."""
    if key == "label":
        return images.labels[rows], images.label_names
    if key == "cluster":
        return clusters, [f"cluster {number}" for number in range(int(clusters.max(initial=0)) + 1)]
    if key == FINDING and images.findings:
        return _occurring(rarest(images.shown[rows]), [*images.findings.names, images.findings.none])
    if key in images.findings.names:
        return _occurring(images.shown[rows, images.findings.names.index(key)].astype(np.int64), [f"no {key}", key])
    if key not in images.metadata:
        known = sorted([*images.findings.names, *images.metadata])
        raise DataError(
            f"the dataset has no column '{key}'",
            hint=f"label, cluster, or one of: {', '.join(known) or 'none'}",
            field="balancing.by",
        )
    column = images.metadata[key]
    values = [column[row] for row in rows.tolist()]
    if width is not None:
        places = [(images.ids[row], key) for row in rows.tolist()]
        values = [step_of(value, width, place, "balancing.by") for value, place in zip(values, places, strict=True)]
    distinct, codes = np.unique([str(value) for value in values], return_inverse=True)
    return codes.astype(np.int64), [f"{key} {value}" for value in distinct.tolist()]


def _occurring(codes: NDArray[np.int64], names: list[str]) -> Level:
    """The same without the names of which there is no image: nothing can be kept of these."""
    numbers, codes = np.unique(codes, return_inverse=True)
    return codes.astype(np.int64), [names[number] for number in numbers.tolist()]


def _members(images: Images, clusters: Clusters, rows: NDArray[np.int64], places: NDArray[np.int64]) -> Members:
    names = np.array([*images.label_names, None], dtype=object)  # -1, the label where a dataset has none, is the last
    labels = names[images.labels[rows[places]]].tolist()
    seconds = None if clusters.second is None else clusters.second[places]
    return Members([clusters.ids[place] for place in places.tolist()], labels, clusters.labels[places], seconds)


def _table(groups: Groups, choice: Choice) -> list[BalancedGroup]:
    """A row for each group that has images."""
    n_images, flat = groups.counts.ravel(), groups.flat[choice.rows]
    n_picked = np.bincount(flat, minlength=len(n_images))
    shares = np.bincount(flat, choice.weights, minlength=len(n_images)) / choice.weights.sum()
    columns = zip(n_images.tolist(), n_picked.tolist(), shares.tolist(), strict=True)
    return [
        BalancedGroup(group=groups.name(group), images=images, picked=picked, share=share)
        for group, (images, picked, share) in enumerate(columns)
        if images
    ]
