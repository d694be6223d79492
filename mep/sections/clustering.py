"""The section `clustering`: what groups the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mep.config import Config, HashFile, LocalPath, folder_digest
from mep.methods.clusterers import Clusterer, Labels, State, Vectors
from mep.methods.clusterers._lloyd import to_unit
from mep.methods.clusterers._numbering import renumbered
from mep.methods.reducers import Reducer
from mep.registry import OneOf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Clusters


class ClusteringConfig(Config):
    """What groups the vectors."""

    later: ClassVar[tuple[str, ...]] = ("second", "reduce")
    scale: Literal["none", "standard", "unit"] = "none"
    """none; standard: every dimension to mean 0 and variance 1; unit: every vector to length 1."""
    pca: int | None = Field(None, ge=1, le=1_000_000)
    """Principal components that are kept. Default: all dimensions, no rotation."""
    reduce: OneOf[Reducer] | None = None
    """What brings the vectors into fewer dimensions, after `pca` where both are given. Default: nothing."""
    method: OneOf[Clusterer]
    ids_from: LocalPath | None = None
    """Folder of an earlier clustering (runs/store/clustering/...): clusters that share most images with one of its
    keep its number (Kuhn 1955), so that captions keep their meaning. Default: 0 is the largest cluster."""
    resamples: int = Field(5, ge=0, le=100)
    """Bootstrap resamples behind the stability of each cluster; 0 leaves it out."""
    second: float | None = Field(None, gt=0, le=0.5)
    """Least probability from which an image has a second cluster, which {second} names. Default: no image has one."""

    @model_validator(mode="after")
    def _reduced_once(self) -> Self:
        if self.pca is not None and self.reduce is not None and self.reduce.kind == "pca":
            raise ValueError("pca and reduce: {kind: pca} say the same: name one of them")
        return self

    @model_validator(mode="after")
    def _has_seconds(self) -> Self:
        if self.second is not None and self.method.kind in ("none", "random"):
            raise ValueError(f"second: clusters of kind '{self.method.kind}' do not say how probable they are")
        return self

    def externals(self, hash_file: HashFile) -> dict[str, str]:
        return {} if self.ids_from is None else {"ids_from": folder_digest(self.ids_from, hash_file)}

    def learn(self, vectors: Vectors, *, seed: int) -> State:
        """What `reduced` needs, learned from the vectors; DataError where `pca` exceeds their number or width."""
        state: State = {}
        if self.scale == "standard":
            std = vectors.std(0)
            state = {"scale_mean": vectors.mean(0), "scale_std": np.where(std > 0, std, 1)}
        for reducer in self._reducers:
            state |= reducer.learn(self.reduced(state, vectors), seed=seed)
        return state

    @property
    def _reducers(self) -> list[Reducer]:
        """In their order. What one has learned has names of its own, which tell how far `reduced` goes."""
        chosen = [] if self.reduce is None else [self.reduce]
        if self.pca is None:
            return chosen
        from mep.methods.reducers.pca import Pca

        return [Pca(kind="pca", dims=self.pca), *chosen]

    def reduced(self, state: State, vectors: Vectors) -> Vectors:
        """The vectors scaled, rotated and reduced by what has been learned so far, float32 (n, d')."""
        reduced: NDArray[np.floating] = to_unit(vectors) if self.scale == "unit" else vectors
        if self.scale == "standard":
            reduced = (vectors - state["scale_mean"]) / state["scale_std"]
        for reducer in self._reducers:
            if any(name.startswith(f"{reducer.kind}_") for name in state):
                reduced = reducer.apply(state, np.asarray(reduced, dtype=np.float32))
        return np.asarray(reduced, dtype=np.float32)

    def assign(self, clusters: Clusters, vectors: Vectors) -> Labels:
        """The numbers, as `Clusters.labels` has them, of new vectors from the same embedder."""
        if not len(vectors):
            return np.zeros(0, dtype=np.int64)
        labels = self.method.assign(clusters.state, self.reduced(clusters.state, vectors))
        return renumbered(labels, clusters.state["rank"])
