"""Cues: what a model is told of an image beside its caption, a vector or the number of a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mep.artifacts.base import load_table, save_table
from mep.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = "condition"
"""Beside the `pipeline/` of a model: what it is told besides captions."""
NONE = -1
"""The row of an image that the model is told nothing of."""
CHUNK = 10_000
"""Vectors that are read at once where all are gone through."""
TABLE, VECTORS = "cues.parquet", "vectors.safetensors"

Rows: TypeAlias = "NDArray[np.int64]"


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of some rows, and how they are scaled for a model.

    values      float32 (m, d)  perhaps still on disk
    places      int64 (n,)      which of them each row has
    scale       float32 (2, d)  mean and standard deviation
    """

    values: NDArray[np.float32]
    places: Rows
    scale: NDArray[np.float32]

    @classmethod
    def scaled_by(cls, values: NDArray[np.float32], places: Rows, known: Rows) -> Vectors:
        """In the scale of the rows that are known, so that these have mean 0 and deviation 1 in every dimension."""
        total = np.zeros((2, values.shape[1]))
        for start in range(0, len(known), CHUNK):
            part = values[places[known[start : start + CHUNK]]].astype(np.float64)
            total += part.sum(0), (part**2).sum(0)
        mean, square = total / max(1, len(known))
        std = np.sqrt(np.maximum(square - mean**2, 0))
        std = np.where(std > 1e-6 * np.abs(mean), std, 1)  # a dimension in which all are alike
        return cls(values, places, np.stack([mean, std]).astype(np.float32))

    def of(self, rows: Rows) -> NDArray[np.float32]:
        """float32 (b, d) as the embedder made them."""
        return self.values[self.places[rows]]

    def inputs(self, rows: Rows) -> NDArray[np.float32]:
        """float32 (b, d + 1), scaled, and a last column of 1; all 0 for NONE."""
        told = np.zeros((len(rows), self.values.shape[1] + 1), dtype=np.float32)
        there = rows != NONE
        told[there] = self.told(self.of(rows[there]))
        return told

    def told(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a model is told of vectors (b, d), whoever's they are: float32 (b, d + 1), scaled, and 1."""
        scaled = (values - self.scale[0]) / self.scale[1]
        return np.column_stack([scaled, np.ones(len(values))]).astype(np.float32)

    def mean(self, rows: Rows, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """float32 (d,), the weighted mean of some rows."""
        total = np.zeros(self.values.shape[1])
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            total += weights[part] @ self.of(rows[part]).astype(np.float64)
        mean: NDArray[np.float32] = (total / weights.sum()).astype(np.float32)
        return mean


@dataclass(frozen=True, eq=False)
class Cues:
    """Rows that a model can be told, and the record of the images that each comes from.

    labels      label of each row, None where the dataset has none
    clusters    int64 (n,)
    weights     float64 (n,)    how often a row is drawn with, relative to the others; 0: never
    vectors     what a row is; None: a class, known by its number
    """

    labels: Sequence[str | None]
    clusters: Rows
    weights: NDArray[np.float64]
    vectors: Vectors | None = None
    found: dict[tuple[str | None, int | None], Rows] = field(default_factory=dict)
    """What `pick` has found."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def width(self) -> int:
        """Numbers in an input where there are vectors, else how many inputs there are."""
        return (len(self) if self.vectors is None else self.vectors.values.shape[1]) + 1

    def inputs(self, rows: Rows) -> NDArray[Any]:
        """What the model is told for rows (b,), NONE among them: `Vectors.inputs`, or int64 (b,) classes, of which the
        last stands for NONE."""
        return np.where(rows == NONE, len(self), rows) if self.vectors is None else self.vectors.inputs(rows)

    def pick(self, label: str | None, cluster: int | None, seed: int) -> int:
        """A row of a label and cluster, of any where one is None, by lot as its weight says; DataError without any."""
        rows = self.found.get((label, cluster))
        if rows is None:
            agrees = self.weights > 0
            if label is not None:
                agrees &= np.array([one == label for one in self.labels], dtype=bool)
            if cluster is not None:
                agrees &= self.clusters == cluster
            rows = self.found[label, cluster] = np.flatnonzero(agrees)
        if not len(rows):
            named = [f"label {label}"] if label is not None else []
            named += [f"cluster {cluster}"] if cluster is not None else []
            raise DataError(
                f"no training image has {' and '.join(named)}: there is nothing to condition on",
                hint="draw prompts of the training set; or condition on text alone",
                field="training.conditioning",
            )
        shares = self.weights[rows] / self.weights[rows].sum()
        return int(np.random.default_rng(seed).choice(rows, p=shares))

    def groups(self) -> dict[tuple[str | None, int], Rows]:
        """The rows of each label and cluster that may be drawn with, in the order of these."""
        rows: dict[tuple[str | None, int], list[int]] = {}
        for row in np.flatnonzero(self.weights > 0).tolist():
            rows.setdefault((self.labels[row], int(self.clusters[row])), []).append(row)
        return {group: np.array(rows[group]) for group in sorted(rows, key=lambda group: (group[0] or "", group[1]))}

    def merged(self) -> Cues:
        """A row for each label and cluster: the mean of its vectors, weighted, in the scale of all."""
        groups = self.groups()
        labels, clusters = [label for label, _ in groups], np.array([cluster for _, cluster in groups], dtype=np.int64)
        weights = np.array([self.weights[rows].sum() for rows in groups.values()])
        if self.vectors is None:
            return Cues(labels, clusters, weights)
        means = np.stack([self.vectors.mean(rows, self.weights[rows]) for rows in groups.values()])
        return Cues(labels, clusters, weights, Vectors(means, np.arange(len(groups)), self.vectors.scale))

    def thinned(self, most: int, seed: int) -> Cues:
        """At most so many rows of each label and cluster, by lot, which together weigh what all of them do."""
        rng = np.random.default_rng(seed)
        kept, weights = [], []
        for rows in self.groups().values():
            chosen = rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
            kept.append(chosen)
            weights.append(self.weights[chosen] * (self.weights[rows].sum() / self.weights[chosen].sum()))
        rows = np.concatenate(kept)
        record = [self.labels[row] for row in rows.tolist()], self.clusters[rows], np.concatenate(weights)
        if self.vectors is None:
            return Cues(*record)
        return Cues(*record, Vectors(self.vectors.of(rows), np.arange(len(rows)), self.vectors.scale))

    def save(self, folder: Path) -> None:
        """Write the records, and the vectors with their scale where there are any."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        columns = {"label": list(self.labels), "cluster": self.clusters.tolist(), "weight": self.weights.tolist()}
        save_table(folder / TABLE, columns)
        if self.vectors is not None:
            mean, std = self.vectors.scale.copy()
            vectors = np.ascontiguousarray(self.vectors.of(np.arange(len(self))))
            save_file({"vectors": vectors, "mean": mean, "std": std}, folder / VECTORS)

    @classmethod
    def load(cls, folder: Path) -> Cues:
        rows = load_table(folder / TABLE)
        record = rows["label"], np.array(rows["cluster"], dtype=np.int64), np.array(rows["weight"])
        if not (folder / VECTORS).exists():
            return cls(*record)
        from safetensors.numpy import load_file

        arrays = load_file(folder / VECTORS)
        values, scale = arrays["vectors"], np.stack([arrays["mean"], arrays["std"]])
        return cls(*record, Vectors(values, np.arange(len(values)), scale))
