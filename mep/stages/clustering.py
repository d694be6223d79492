"""Clustering: a group for every inlier, numbered by size."""

import numpy as np

from mep.artifacts import TRAIN, Clusters, Embeddings, Images, Inliers
from mep.clusterers import Clusterer
from mep.config import Config
from mep.registry import OneOf
from mep.stage import Work, stage


class ClusteringConfig(Config):
    """What groups the vectors."""

    method: OneOf[Clusterer]


@stage(version=2, draws=True)
def clustering(
    config: ClusteringConfig, images: Images, embeddings: Embeddings, inliers: Inliers, *, work: Work
) -> Clusters:
    """Group the training inliers, 0 the largest; assign validation inliers; noise and outliers are -1."""
    train = images.select(embeddings.ids).splits == TRAIN
    fitted, assigned = inliers.mask & train, inliers.mask & ~train
    partition = config.method.fit(embeddings.vectors[fitted], seed=work.seed)
    sizes = np.bincount(partition.labels[partition.labels >= 0])
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    labels = np.full(len(embeddings.ids), -1, dtype=np.int64)
    distances = np.full(len(embeddings.ids), np.nan, dtype=np.float32)
    labels[fitted] = np.where(partition.labels >= 0, rank[partition.labels], -1)
    distances[fitted] = partition.distances
    if assigned.any():
        labels[assigned] = rank[config.method.assign(partition.state, embeddings.vectors[assigned])]
    return Clusters(embeddings.ids, labels, distances, partition.state | {"rank": rank})
