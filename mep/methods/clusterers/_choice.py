"""The number of clusters, chosen among several by an index of how good their partitions are."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mep.artifacts.vectors import TriedK
from mep.errors import DataError
from mep.methods.clusterers import ChooseK, Clusterer, KClusterer, Labels, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWER_IS_BETTER = ("s_dbw", "sd", "davies_bouldin")  # of the indices that `ChooseK.by` names
N_RESAMPLES = 10  # bootstrap resamples behind the index `stability`


def settle_k(method: Clusterer, vectors: Vectors, *, seed: int) -> tuple[Clusterer, list[TriedK]]:
    """The method with a number for its k, and the curve that k was chosen from; empty where the recipe names k."""
    for field in ("like", "coarse"):
        if isinstance(inner := getattr(method, field, None), Clusterer):
            settled, curve = settle_k(inner, vectors, seed=seed)
            return method.model_copy(update={field: settled}), curve
    if not isinstance(method, KClusterer) or not isinstance(method.k, ChooseK):
        return method, []
    rule = method.k
    rows = np.random.default_rng(seed).permutation(len(vectors))[: rule.rows]
    sample = np.asarray(vectors[np.sort(rows)])
    candidates = {k: method.model_copy(update={"k": k}) for k in sorted(set(rule.choose)) if k < len(sample)}
    if len(candidates) < 2:
        raise DataError(
            f"of the numbers of clusters {', '.join(map(str, rule.choose))} fewer than two fit {len(sample)} images",
            hint=f"name two numbers below {len(sample)}",
            field="clustering.method.k.choose",
        )
    values = _values(list(candidates.values()), rule.by, sample, seed)
    losses = np.array(values) * (1 if rule.by in LOWER_IS_BETTER else -1)
    best = list(candidates)[np.flatnonzero(losses == losses.min())[-1]]  # of equals the finest: stable at 2 and 3 is 3
    tried = zip(candidates, values, strict=True)
    return candidates[best], [TriedK(k=k, index=rule.by, value=value, chosen=k == best) for k, value in tried]


def _values(candidates: list[KClusterer], by: str, sample: Vectors, seed: int) -> list[float]:
    """The index of each candidate's partition of the sample."""
    from sklearn.metrics import adjusted_rand_score, davies_bouldin_score, silhouette_score

    labelings = [candidate.fit(sample, seed=seed).labels for candidate in candidates]
    partitions = [np.unique(labels, return_inverse=True)[1].astype(np.int64) for labels in labelings]  # without gaps
    if by == "stability":
        resamples = [resampled(candidate, sample, seed=seed) for candidate in candidates]
        pairs = zip(partitions, resamples, strict=True)
        return [float(np.mean([adjusted_rand_score(labels, other) for other in others])) for labels, others in pairs]
    if by == "sd":  # the scatter is weighted by the separation at the largest number tried
        weight = separation(sample, partitions[-1])
        return [weight * scatter(sample, labels) + separation(sample, labels) for labels in partitions]
    index = {"s_dbw": s_dbw, "silhouette": silhouette_score, "davies_bouldin": davies_bouldin_score}[by]
    return [float(index(sample, labels)) for labels in partitions]


def scatter(vectors: NDArray[np.floating], labels: Labels) -> float:
    """Mean norm of the clusters' variances over that of all; lower is more compact (Scat of Halkidi et al. 2001)."""
    return float(np.mean([_norm_of_variance(group) for group in _groups(vectors, labels)]) / _norm_of_variance(vectors))


def separation(vectors: NDArray[np.floating], labels: Labels) -> float:
    """Dis of Halkidi, Vazirgiannis & Batistakis 2000: lower where centres are far apart and evenly spread."""
    from scipy.spatial.distance import cdist

    centers = np.stack([group.mean(0) for group in _groups(vectors, labels)])
    gaps = cdist(centers, centers)
    between = gaps[np.triu_indices(len(gaps), 1)]
    return float(between.max() / max(between.min(), 1e-12) * (1 / gaps.sum(1)).sum())


def s_dbw(vectors: NDArray[np.floating], labels: Labels) -> float:
    """Scatter within clusters plus density between them; lower is better.

    vectors     float (n, d)
    labels      int64 (n,)    0 ... k - 1, none of them empty

    Source      Halkidi & Vazirgiannis 2001, Clustering validity assessment: finding the optimal partitioning
    """
    groups = _groups(vectors, labels)
    centers, k = [group.mean(0) for group in groups], len(groups)
    radius = np.sqrt(np.sum([_norm_of_variance(group) for group in groups])) / k
    near = np.array([[_count_near(group, center, radius) for group in groups] for center in centers])
    total = 0.0
    for i, j in itertools.combinations(range(k), 2):
        middle = (centers[i] + centers[j]) / 2
        n_between = _count_near(groups[i], middle, radius) + _count_near(groups[j], middle, radius)
        n_densest = max(near[i, i] + near[i, j], near[j, i] + near[j, j])
        total += 2 * n_between / n_densest if n_densest else 0.0
    return scatter(vectors, labels) + total / (k * (k - 1))


def resampled(clusterer: Clusterer, vectors: Vectors, *, seed: int, n: int = N_RESAMPLES) -> Iterator[Labels]:
    """For each bootstrap resample, the cluster that its partition assigns to every vector."""
    for number in range(n):
        rows = np.random.default_rng([seed, number]).integers(len(vectors), size=len(vectors))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a resample of few images has fewer distinct ones than clusters
                partition = clusterer.fit(vectors[rows], seed=seed + number)
        except DataError:  # this resample has no clusters
            yield np.full(len(vectors), -1, dtype=np.int64)
        else:
            yield clusterer.assign(partition.state, vectors)


def _groups(vectors: NDArray[np.floating], labels: Labels) -> list[NDArray[np.floating]]:
    return [vectors[labels == cluster] for cluster in range(int(labels.max()) + 1)]


def _norm_of_variance(vectors: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vectors.var(0, dtype=np.float64)))


def _count_near(vectors: NDArray[np.floating], point: NDArray[np.floating], radius: float) -> int:
    return int((np.linalg.norm(vectors - point, axis=1) <= radius).sum())


def draw_curve(curve: list[TriedK], path: Path) -> None:
    """The index against the number of clusters, as an SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([tried["k"] for tried in curve], [tried["value"] for tried in curve], "o-", color="#33658a")
    chosen = next(tried for tried in curve if tried["chosen"])
    axes.plot(chosen["k"], chosen["value"], "o", color="#f26419", markersize=9)
    axes.annotate(f"k = {chosen['k']}", (chosen["k"], chosen["value"]), xytext=(6, 6), textcoords="offset points")
    arrow = "lower" if chosen["index"] in LOWER_IS_BETTER else "higher"
    axes.set(xlabel="number of clusters", ylabel=f"{chosen['index']} ({arrow} is better)")
    axes.set_xticks([tried["k"] for tried in curve])
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
