"""Clustering: a group for every inlier, numbered by size."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TRAIN, Clusters, Embeddings, Images, Inliers
from mep.errors import DataError
from mep.machine.work import Work
from mep.methods.clusterers import Clusterer, Labels, Partition, Vectors
from mep.methods.clusterers._choice import draw_curve, settle_k
from mep.methods.clusterers._numbering import by_size, codes_of, matched, renumbered, second_of
from mep.methods.clusterers._summaries import stability_of, summaries
from mep.sections.clustering import ClusteringConfig
from mep.stage import stage

ScalarT = TypeVar("ScalarT", bound=np.generic)


@stage(version=3, draws=True)
def clustering(
    config: ClusteringConfig, images: Images, embeddings: Embeddings, inliers: Inliers, *, work: Work
) -> Clusters:
    """Group the training inliers, 0 the largest; assign validation inliers; noise and outliers are -1."""
    embedded = images.select(embeddings.ids)
    train = embedded.splits == TRAIN
    rows, validation = np.flatnonzero(inliers.mask & train), np.flatnonzero(inliers.mask & ~train)
    vectors = embeddings.vectors if len(rows) == len(embedded) else embeddings.vectors[rows]
    if config.method.kind != "none" and all((vector == vectors[0]).all() for vector in vectors):
        raise DataError(
            f"all {len(vectors)} images have the same embedding: there is nothing to cluster",
            hint="look at the images, try another embedder, or {kind: none}",
            field="clustering.method",
        )
    reduction = config.learn(vectors, seed=work.seed)
    vectors = config.reduced(reduction, vectors)
    method, curve = settle_k(config.method, vectors, seed=work.seed)
    ids = [embedded.ids[row] for row in rows]
    partition, names, known = _partition(method, images, ids, vectors, work.seed)
    numbers = _numbers(partition.labels, ids, config, names)
    labels = renumbered(partition.labels, numbers)
    n = len(embedded)
    stability = None
    if config.resamples and not names:
        by_label = stability_of(method, vectors, partition.labels, n=config.resamples, seed=work.seed)
        stability = _spread(by_label, numbers[: len(by_label)], int(numbers.max()) + 1, 0)
    soft = {} if config.second is None else method.soften(vectors, partition.labels)
    clusters = Clusters(
        ids=embedded.ids,
        labels=_spread(labels, rows, n, -1),
        distances=_spread(partition.distances, rows, n, np.nan),
        state=reduction | partition.state | soft | {"rank": numbers},
        memberships=_memberships(partition, numbers, rows, n),
        summaries=summaries(ids, [embedded.label_of(row) for row in rows.tolist()], vectors, labels, stability),
        curve=curve,
        names=_names(names, numbers),
        given=_given(known, images, names, numbers),
        assigner=config,
        codes=codes_of(partition.parents, partition.labels, numbers, _coarse_before(config, partition, ids)),
        second=None if config.second is None else np.full(n, -1, dtype=np.int64),
    )
    aside = [embedded.ids[row] for row in validation.tolist()]
    clusters.labels[validation] = clusters.assign(embeddings.vectors[validation], aside)
    if config.second is not None and clusters.second is not None:
        for part, own in ((rows, partition.memberships), (validation, None)):
            if len(part):
                reduced = config.reduced(reduction, embeddings.vectors[part])
                chances = method.memberships(clusters.state, reduced) if own is None else own
                numbered = _in_numbers(chances, numbers)
                clusters.second[part] = second_of(numbered, clusters.labels[part], config.second)
    if curve:
        draw_curve(curve, work.out / "curve.svg")
    return clusters


def _partition(
    method: Clusterer, images: Images, ids: list[str], vectors: Vectors, seed: int
) -> tuple[Partition, list[str], dict[str, str]]:
    """The clusters of the images with these ids: found in their vectors, or given. Then also the name of each cluster,
    and for every image of the dataset that has one the name that it was given."""
    from mep.methods.clusterers.given import Given  # here: a recipe loads the methods that it names and no others

    if not isinstance(method, Given):
        return method.fit(vectors, seed=seed), [], {}
    known = method.names_of(images)
    partition, names = method.partition([known.get(image_id) for image_id in ids], vectors)
    return partition, names, known


def _names(names: list[str], numbers: NDArray[np.int64]) -> dict[int, str]:
    """Number -> name of each given cluster; nothing where the names are the numbers."""
    named = dict(zip(numbers.tolist(), names, strict=True)) if names else {}
    return {number: name for number, name in sorted(named.items()) if name != str(number)}


def _given(known: dict[str, str], images: Images, names: list[str], numbers: NDArray[np.int64]) -> dict[str, int]:
    """Image that is not trained on -> the cluster that it was given; -1 for one that no training image has."""
    number_of = dict(zip(names, numbers.tolist(), strict=True)) if names else {}
    aside = (image_id for image_id, split in zip(images.ids, images.splits.tolist(), strict=True) if split != TRAIN)
    return {image_id: number_of.get(known[image_id], -1) for image_id in aside if image_id in known}


def _numbers(labels: Labels, ids: list[str], config: ClusteringConfig, names: list[str]) -> NDArray[np.int64]:
    """int64 (k,) number of each of the method's clusters: by size, or by an earlier clustering of the same images, or
    as it was given."""
    if names and config.ids_from is None and all(name.isdecimal() for name in names):
        return np.array(names, dtype=np.int64)
    rank = by_size(labels)
    if config.ids_from is None:
        return rank
    before = _before(config, ids)
    both = (before >= 0) & (labels >= 0)
    if not both.any():
        raise DataError(
            f"the clustering in {config.ids_from} has no image in common with this one",
            hint="name the folder of a clustering of the same dataset, or leave ids_from out",
            field="clustering.ids_from",
        )
    return matched(labels[both], before[both], rank)


def _before(config: ClusteringConfig, ids: list[str], *, coarse: bool = False) -> Labels:
    """int64 (n,) number of the cluster that each image had in an earlier clustering, or of its coarse one; -1: none."""
    assert config.ids_from is not None
    earlier = Clusters.load(config.ids_from, config)
    label_before = dict(zip(earlier.ids, earlier.labels.tolist(), strict=True))
    labels = [label_before.get(image_id, -1) for image_id in ids]
    return np.array([earlier.codes.get(label, (-1, -1))[0] if coarse else label for label in labels])


def _spread(values: NDArray[ScalarT], rows: NDArray[np.int64], n: int, elsewhere: float) -> NDArray[ScalarT]:
    """An array of n with the values in `rows`."""
    spread = np.full(n, elsewhere, dtype=values.dtype)
    spread[rows] = values
    return spread


def _memberships(
    partition: Partition, numbers: NDArray[np.int64], rows: NDArray[np.int64], n: int
) -> NDArray[np.float32] | None:
    """float32 (n, k) by the final numbers; nan for images that the clusters were not fitted on."""
    if partition.memberships is None:
        return None
    memberships = np.full((n, int(numbers.max()) + 1), np.nan, dtype=np.float32)
    memberships[rows] = _in_numbers(partition.memberships, numbers)
    return memberships


def _in_numbers(memberships: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 (m, k) with a column for every number; noise that is a cluster of its own has nothing in its own."""
    numbered = np.zeros((len(memberships), int(numbers.max()) + 1), dtype=np.float32)
    numbered[:, numbers[: memberships.shape[1]]] = memberships[:, : len(numbers)]
    return numbered


def _coarse_before(config: ClusteringConfig, partition: Partition, ids: list[str]) -> Labels | None:
    has_before = partition.parents is not None and config.ids_from is not None
    return _before(config, ids, coarse=True) if has_before else None
