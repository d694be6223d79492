"""Clustering: a group for every inlier, numbered by size."""

import numpy as np

from mep.artifacts import Clusters, Embeddings, Inliers
from mep.clusterers import Clusterer
from mep.config import Config
from mep.registry import OneOf
from mep.stage import Work, stage


class ClusteringConfig(Config):
    """What groups the vectors."""

    method: OneOf[Clusterer]


@stage(version=1, draws=True)
def clustering(config: ClusteringConfig, embeddings: Embeddings, inliers: Inliers, *, work: Work) -> Clusters:
    """Give every inlier a cluster, 0 the largest; noise and outliers are -1."""
    partition = config.method.fit(embeddings.vectors[inliers.mask], seed=work.seed)
    sizes = np.bincount(partition.labels[partition.labels >= 0])
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    labels = np.full(len(embeddings.ids), -1, dtype=np.int64)
    distances = np.full(len(embeddings.ids), np.nan, dtype=np.float32)
    labels[inliers.mask] = np.where(partition.labels >= 0, rank[partition.labels], -1)
    distances[inliers.mask] = partition.distances
    return Clusters(embeddings.ids, labels, distances, partition.state | {"rank": rank})
