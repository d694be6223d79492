"""Balancing: which images the model is trained on, picked by (label, cluster) and never by caption."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.artifacts import TRAIN, VALIDATION, BalancedGroup, Clusters, Images, Members, TrainingSet
from mep.config import Config
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.balancers import Balancer, Choice, Groups
from mep.registry import OneOf
from mep.stage import stage


class BalancingConfig(Config):
    """What picks the training images."""

    method: OneOf[Balancer]
    by: tuple[str, ...] = Field(("label", "cluster"), min_length=1)
    """What a group is: label, cluster, or columns named in dataset.columns. uniform_per_prompt keeps as many groups for
    every value of the first. Without labels the label counts for nothing."""


@stage(version=3, draws=True)
def balancing(config: BalancingConfig, images: Images, clusters: Clusters, *, work: Work) -> TrainingSet:
    """Pick the training images so that labels and clusters are represented as wanted."""
    rows = images.rows(clusters.ids)
    splits = images.splits[rows]
    train, aside = np.flatnonzero(splits == TRAIN), np.flatnonzero(splits == VALIDATION)
    groups = _groups(config.by, images, rows[train], clusters.labels[train])
    choice = config.method.pick(groups, seed=work.seed)
    if len(choice.rows) == 0:
        raise DataError(
            "balancing leaves no training image",
            hint="every label or group of `by` needs an image; {kind: none} keeps all",
            field="balancing.method",
        )
    picked = train[choice.rows]
    trained = _pairs(images.labels[rows[picked]], clusters.labels[picked])
    aside = aside[np.isin(_pairs(images.labels[rows[aside]], clusters.labels[aside]), trained)]
    chosen = _members(images, clusters, rows, picked)
    return TrainingSet(
        ids=chosen.ids,
        labels=chosen.labels,
        clusters=chosen.clusters,
        weights=choice.weights,
        shortage=choice.shortage,
        validation=_members(images, clusters, rows, aside),
        groups=_table(groups, choice),
    )


def _groups(by: tuple[str, ...], images: Images, rows: NDArray[np.int64], clusters: NDArray[np.int64]) -> Groups:
    """The groups of the images in some rows; those without a cluster are never picked."""
    keys = [key for key in by if key != "label" or images.label_names]
    one: tuple[NDArray[np.int64], list[str]] = (np.zeros(len(rows), dtype=np.int64), [""])
    levels = [_codes(key, images, rows, clusters) for key in keys]
    if len(levels) < 2:  # labels alone are all kept; of clusters alone there may be too many to fill
        levels = [one, *levels] if keys == ["cluster"] else [*levels, one, one][:2]
    codes, names = zip(*levels, strict=True)
    inner, inner_names = codes[1], names[1]
    for code, known in zip(codes[2:], names[2:], strict=True):
        inner = np.where((inner >= 0) & (code >= 0), inner * len(known) + code, -1)
        inner_names = [f"{one}, {other}" for one in inner_names for other in known]
    return Groups(codes[0], np.where(clusters >= 0, inner, -1), names[0], inner_names)


def _codes(
    key: str, images: Images, rows: NDArray[np.int64], clusters: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[str]]:
    """Number of the value that each image has for a key, and what the values are called."""
    if key == "label":
        return images.labels[rows], images.label_names
    if key == "cluster":
        return clusters, [f"cluster {number}" for number in range(int(clusters.max(initial=0)) + 1)]
    if key not in images.metadata:
        raise DataError(
            f"the dataset has no column '{key}'",
            hint=f"label, cluster, or one of: {', '.join(sorted(images.metadata)) or 'none'}",
            field="balancing.by",
        )
    column = images.metadata[key]
    known, codes = np.unique([str(column[row]) for row in rows.tolist()], return_inverse=True)
    return codes.astype(np.int64), [f"{key} {value}" for value in known.tolist()]


def _pairs(labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each pair of label and cluster; -1 for an image without a cluster."""
    return np.where(clusters >= 0, (labels + 1) * (2**32) + clusters, -1)


def _members(images: Images, clusters: Clusters, rows: NDArray[np.int64], places: NDArray[np.int64]) -> Members:
    names = np.array([*images.label_names, None], dtype=object)  # label -1, of a dataset without any, is the last
    labels = names[images.labels[rows[places]]].tolist()
    return Members(list(map(clusters.ids.__getitem__, places.tolist())), labels, clusters.labels[places])


def _table(groups: Groups, choice: Choice) -> list[BalancedGroup]:
    """A row a group that has images: how many there are, how many are trained on, and their share of all draws."""
    counts, flat = groups.counts.ravel(), groups.flat[choice.rows]
    picked = np.bincount(flat, minlength=len(counts))
    share = np.bincount(flat, choice.weights, minlength=len(counts)) / choice.weights.sum()
    return [
        {
            "group": groups.name(group),
            "images": int(counts[group]),
            "picked": int(picked[group]),
            "share": float(share[group]),
        }
        for group in np.flatnonzero(counts).tolist()
    ]
