from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mep.errors import DataError
from mep.methods.clusterers import (
    Clusterer,
    KClusterer,
    Labels,
    Partition,
    State,
    VectorClusterer,
    Vectors,
    distances_to_mean,
)
from mep.registry import OneOf


class Hierarchical(Clusterer):
    """Clusters within clusters: every coarse cluster is divided again. Captions name both, {coarse} and {fine}.

    `{cluster}` numbers the fine clusters through, 0 the largest. `{coarse}` numbers the coarse ones by size, and
    `{fine}` those within one of them.
    """

    kind: Literal["hierarchical"]
    coarse: OneOf[VectorClusterer]
    """What finds the coarse clusters."""
    fine: OneOf[KClusterer]
    """What divides each of them; its k is a number."""
    split_from: int = Field(20, ge=2, le=1_000_000_000)
    """Coarse clusters with fewer images stay whole."""

    @model_validator(mode="after")
    def _fine_is_settled(self) -> Self:
        if not isinstance(self.fine.k, int):
            raise ValueError("fine.k has to be a number; the k of coarse may be chosen")
        return self

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        outer = self.coarse.fit(vectors, seed=seed)
        labels = np.full(len(vectors), -1, dtype=np.int64)
        state = {f"coarse_{name}": array for name, array in outer.state.items()}
        starts, parents = [], list[int]()
        for cluster in range(int(outer.labels.max(initial=-1)) + 1):
            rows = np.flatnonzero(outer.labels == cluster)
            starts.append(len(parents))
            labels[rows] = len(parents)
            n_parts = 1
            if len(rows) >= self.split_from:
                inner = self._divided(vectors[rows], cluster, seed)
                n_parts = self.fine.n_clusters(len(rows))
                labels[rows] += inner.labels
                state |= {f"fine_{cluster}_{name}": array for name, array in inner.state.items()}
            parents += [cluster] * n_parts
        state |= {"starts": np.array(starts, dtype=np.int64)}
        return Partition(labels, distances_to_mean(vectors, labels), state, parents=np.array(parents, dtype=np.int64))

    def _divided(self, members: Vectors, cluster: int, seed: int) -> Partition:
        try:
            return self.fine.fit(members, seed=seed)
        except DataError as error:
            message = f"in coarse cluster {cluster}, {error.message}"
            hint = f"{error.hint}, or raise split_from: smaller coarse clusters stay whole"
            raise DataError(message, hint=hint, field="clustering.method.fine") from error

    def assign(self, state: State, vectors: Vectors) -> Labels:
        outer = self.coarse.assign(_under(state, "coarse_"), vectors)
        starts = state["starts"]
        known = (outer >= 0) & (outer < len(starts))
        labels = np.where(known, starts[np.where(known, outer, 0)], -1)
        for cluster in np.unique(outer[known]).tolist():
            if inner := _under(state, f"fine_{cluster}_"):
                labels[outer == cluster] += self.fine.assign(inner, vectors[outer == cluster])
        return np.asarray(labels, dtype=np.int64)


def _under(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
