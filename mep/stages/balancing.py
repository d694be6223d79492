"""Balancing: which images the model is trained on, picked by (label, cluster) and never by caption."""

from typing import TYPE_CHECKING

import numpy as np

from mep.artifacts import TRAIN, VALIDATION, Clusters, Images, Members, TrainingSet
from mep.balancers import Balancer
from mep.config import Config
from mep.errors import DataError
from mep.registry import OneOf
from mep.stage import Work, stage

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BalancingConfig(Config):
    """What picks the training images."""

    method: OneOf[Balancer]


@stage(version=2, draws=True)
def balancing(config: BalancingConfig, images: Images, clusters: Clusters, *, work: Work) -> TrainingSet:
    """Pick the training images so that labels and clusters are represented as wanted."""
    seen = images.select(clusters.ids)
    train = np.flatnonzero(seen.splits == TRAIN)
    choice = config.method.pick(seen.labels[train], clusters.labels[train], images.label_names, seed=work.seed)
    if len(choice.rows) == 0:
        raise DataError("balancing leaves no training image", field="balancing.method")
    picked = _members(seen, clusters, train[choice.rows])
    groups = set(zip(picked.labels, picked.clusters.tolist(), strict=True))
    aside = np.flatnonzero(seen.splits == VALIDATION)
    known = [(seen.label_of(row), int(clusters.labels[row])) in groups for row in aside.tolist()]
    return TrainingSet(
        ids=picked.ids,
        labels=picked.labels,
        clusters=picked.clusters,
        weights=choice.weights,
        shortage=choice.shortage,
        validation=_members(seen, clusters, aside[np.array(known, dtype=bool)]),
    )


def _members(images: Images, clusters: Clusters, rows: "NDArray[np.int64]") -> Members:
    taken = images.take(rows)
    return Members(taken.ids, [taken.label_of(row) for row in range(len(taken))], clusters.labels[rows])
