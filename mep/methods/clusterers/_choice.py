"""The number of clusters, chosen among several."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TriedK
from mep.errors import DataError
from mep.methods.clusterers import ChooseK, Clusterer, KClusterer, _indices


def settle_k(method: Clusterer, vectors: NDArray[np.float32], *, seed: int) -> tuple[Clusterer, list[TriedK]]:
    """The method with a number for its k, and the curve that k was chosen from; empty where the recipe names k.

    DataError   fewer than two of the numbers are below the number of images
    """
    like = getattr(method, "like", None)
    if isinstance(like, Clusterer):
        settled, curve = settle_k(like, vectors, seed=seed)
        return method.model_copy(update={"like": settled}), curve
    if not isinstance(method, KClusterer) or not isinstance(method.k, ChooseK):
        return method, []
    rule = method.k
    rows = np.random.default_rng(seed).permutation(len(vectors))[: rule.rows]
    sample = np.asarray(vectors[np.sort(rows)])
    numbers = sorted(k for k in set(rule.choose) if k < len(sample))
    if len(numbers) < 2:
        raise DataError(
            f"of the numbers of clusters {', '.join(map(str, rule.choose))} fewer than two fit {len(sample)} images",
            hint=f"name two numbers below {len(sample)}",
            field="clustering.method.k.choose",
        )
    values = _values([method.with_k(k) for k in numbers], rule.by, sample, seed)
    losses = np.array(values) * (1 if _indices.LOWER_IS_BETTER[rule.by] else -1)
    best = numbers[np.flatnonzero(losses == losses.min())[-1]]  # of equals the finest: stable at 2 and 3 means three
    curve = [
        TriedK(k=k, index=rule.by, value=value, chosen=k == best) for k, value in zip(numbers, values, strict=True)
    ]
    return method.with_k(best), curve


def _values(candidates: list[KClusterer], by: str, sample: NDArray[np.float32], seed: int) -> list[float]:
    """The index of each candidate's partition of the sample."""
    partitions = [_without_gaps(candidate.fit(sample, seed=seed).labels) for candidate in candidates]
    if by == "stability":
        pairs = zip(candidates, partitions, strict=True)
        return [_indices.stability(candidate, sample, labels, seed=seed) for candidate, labels in pairs]
    if by == "sd":  # the scatter is weighted by the separation at the largest number tried
        weight = _indices.separation(sample, partitions[-1])
        return [
            weight * _indices.scatter(sample, labels) + _indices.separation(sample, labels) for labels in partitions
        ]
    index = {"s_dbw": _indices.s_dbw, "silhouette": _indices.silhouette, "davies_bouldin": _indices.davies_bouldin}[by]
    return [index(sample, labels) for labels in partitions]


def _without_gaps(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def draw_curve(curve: list[TriedK], path: Path) -> None:
    """The index against the number of clusters, as an SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([tried["k"] for tried in curve], [tried["value"] for tried in curve], "o-", color="#33658a")
    chosen = next(tried for tried in curve if tried["chosen"])
    axes.plot(chosen["k"], chosen["value"], "o", color="#f26419", markersize=9)
    axes.annotate(f"k = {chosen['k']}", (chosen["k"], chosen["value"]), xytext=(6, 6), textcoords="offset points")
    arrow = "lower" if _indices.LOWER_IS_BETTER[chosen["index"]] else "higher"
    axes.set(xlabel="number of clusters", ylabel=f"{chosen['index']} ({arrow} is better)")
    axes.set_xticks([tried["k"] for tried in curve])
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
