"""The number of clusters, chosen among several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mep.errors import DataError
from mep.methods.clusterers import ChooseK, Clusterer, KClusterer, _indices

if TYPE_CHECKING:
    from numpy.typing import NDArray


def settle_k(method: Clusterer, vectors: NDArray[np.float32], *, seed: int) -> tuple[Clusterer, list[dict[str, Any]]]:
    """The method with a number for its k, and the curve that it was read off: rows of k, index, value, chosen."""
    other = getattr(method, "like", None)
    if isinstance(other, Clusterer):
        like, curve = settle_k(other, vectors, seed=seed)
        return method.model_copy(update={"like": like}), curve
    if not isinstance(method, KClusterer) or not isinstance(method.k, ChooseK):
        return method, []
    rule = method.k
    rows = np.random.default_rng(seed).permutation(len(vectors))[: rule.rows]
    sample = np.asarray(vectors[np.sort(rows)])
    tried = sorted(k for k in set(rule.choose) if k < len(sample))
    if len(tried) < 2:
        raise DataError(
            f"of the numbers of clusters {', '.join(map(str, rule.choose))} fewer than two fit {len(sample)} images",
            hint=f"name two numbers below {len(sample)}",
            field="clustering.method.k.choose",
        )
    values = _values(method, rule.by, tried, sample, seed)
    badness = np.array(values) * (1 if _indices.LOWER_IS_BETTER[rule.by] else -1)
    best = int(np.flatnonzero(badness == badness.min())[-1])  # of equals the finest: stable at 2 and 3 means three
    curve = [
        {"k": k, "index": rule.by, "value": value, "chosen": row == best}
        for row, (k, value) in enumerate(zip(tried, values, strict=True))
    ]
    return method.with_k(tried[best]), curve


def _values(method: KClusterer, by: str, tried: list[int], sample: NDArray[np.float32], seed: int) -> list[float]:
    """The index for each number tried."""
    candidates = [method.with_k(k) for k in tried]
    partitions = [_without_gaps(one.fit(sample, seed=seed).labels) for one in candidates]
    if by == "stability":
        return [
            _indices.stability(one, sample, labels, seed=seed)
            for one, labels in zip(candidates, partitions, strict=True)
        ]
    if by == "sd":  # the scatter is weighted by the separation at the largest number tried
        weight = _indices.separation(sample, partitions[-1])
        return [weight * _indices.scatter(sample, one) + _indices.separation(sample, one) for one in partitions]
    index = {"s_dbw": _indices.s_dbw, "silhouette": _indices.silhouette, "davies_bouldin": _indices.davies_bouldin}[by]
    return [index(sample, labels) for labels in partitions]


def _without_gaps(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def draw_curve(curve: list[dict[str, Any]], path: Any) -> None:
    """The index against the number of clusters, as an SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([row["k"] for row in curve], [row["value"] for row in curve], "o-", color="#33658a")
    chosen = next(row for row in curve if row["chosen"])
    axes.plot(chosen["k"], chosen["value"], "o", color="#f26419", markersize=9)
    axes.annotate(f"k = {chosen['k']}", (chosen["k"], chosen["value"]), xytext=(6, 6), textcoords="offset points")
    arrow = "lower" if _indices.LOWER_IS_BETTER[chosen["index"]] else "higher"
    axes.set(xlabel="number of clusters", ylabel=f"{chosen['index']} ({arrow} is better)")
    axes.set_xticks([row["k"] for row in curve])
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
