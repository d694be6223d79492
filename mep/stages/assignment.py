"""Assignment: which cluster and which label do held-out and generated images show?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.artifacts import TRAIN, Assignment, BaseModel, Clusters, Embeddings, Images, Samples
from mep.config import digest
from mep.errors import DataError
from mep.stage import Work, stage
from mep.stages.embedding import EmbeddingConfig
from mep.stages.references import reconstructor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@stage(version=2, section="embedding")
def assignment(
    config: EmbeddingConfig,
    images: Images,
    embeddings: Embeddings,
    clusters: Clusters,
    base: BaseModel,
    samples: Samples,
    *,
    work: Work,
) -> Assignment:
    """Embed held-out and generated images as the training images were, and assign them to the clusters.

    Held-out images are assigned as they are, at the resolution of the model, and after a pass through its
    autoencoder: how many keep their cluster is the most that generated images can be expected to reach.
    """
    embed, side = config.load(work.device), base.resolution
    probe = label_probe(images, embeddings)
    held_out, listed = images.held_out, samples.rows
    rebuild = reconstructor(base, work.device)

    def assigned(name: str, read: Callable[[int], NDArray[np.uint8]], n: int, change: Any = list) -> NDArray[np.int64]:
        def shard(rows: Sequence[int]) -> NDArray[np.float32]:
            batches = [rows[start : start + work.batch_size] for start in range(0, len(rows), work.batch_size)]
            decoded = work.map(lambda batch: [read(row) for row in batch], batches)
            return np.concatenate([embed(change(batch)) for batch in decoded])

        vectors = work.in_shards(name, range(n), shard)
        if not np.isfinite(vectors).all():
            raise DataError("the embedder gave values that are not finite", field="embedding.model")
        return np.column_stack([clusters.assign(vectors), probe(vectors)])

    n = len(held_out)
    own = assigned("heldout", held_out.read, n)
    resized = assigned("resized", lambda row: held_out.read_square(row, side), n)
    floor = assigned(
        "floor", lambda row: held_out.read_square(row, side), n, lambda batch: list(rebuild(np.stack(batch)))
    )
    made = assigned("samples", lambda row: samples.read(listed[row]), len(listed))
    wanted = np.column_stack([own[:, 0], held_out.labels])
    asked = wanted_of(listed, images.label_names)
    return Assignment(
        ids={"heldout": held_out.ids, "samples": [row["file_name"] for row in listed]},
        parts={part: _side_by_side(wanted, found) for part, found in (("heldout", resized), ("floor", floor))}
        | {"samples": _side_by_side(asked, made)},
        n_clusters=clusters.n_clusters,
        label_names=images.label_names,
        d=embeddings.vectors.shape[1],
        digest=digest([config.dump(), {name: array.tolist() for name, array in sorted(clusters.state.items())}]),
    )


def wanted_of(rows: Sequence[dict[str, Any]], label_names: Sequence[str]) -> NDArray[np.int64]:
    """Cluster and label that every sample's caption names, int64 (m, 2); -1 where it names none."""
    number = {name: index for index, name in enumerate(label_names)}
    pairs = [(-1 if row["cluster"] is None else row["cluster"], number.get(row["label"], -1)) for row in rows]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def label_probe(images: Images, embeddings: Embeddings) -> Callable[[NDArray[np.float32]], NDArray[np.int64]]:
    """What tells the label of a vector: a logistic regression on the training images; -1 where there are no labels."""
    seen = images.select(embeddings.ids)
    rows = np.flatnonzero((seen.splits == TRAIN) & (seen.labels >= 0))
    if len(np.unique(seen.labels[rows])) < 2:
        return lambda vectors: np.full(len(vectors), -1, dtype=np.int64)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    probe.fit(embeddings.vectors[rows], seen.labels[rows])
    return lambda vectors: probe.predict(vectors).astype(np.int64)


def _side_by_side(wanted: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns as `mep.scores.adherence` reads them: wanted and found cluster, wanted and found label."""
    return np.column_stack([wanted[:, 0], found[:, 0], wanted[:, 1], found[:, 1]])
