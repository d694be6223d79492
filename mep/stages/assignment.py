"""Assignment: which cluster and which label do held-out and generated images show?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mep.artifacts import TRAIN, Assignment, BaseModel, Clusters, Embeddings, HeldOutEmbeddings, Images, Samples
from mep.artifacts.score_row import JsonObject
from mep.config import digest
from mep.evaluation.features import SQUARE
from mep.machine.work import Work
from mep.methods.embedders.table import Table
from mep.sections.embedding import EmbeddingConfig
from mep.stage import stage
from mep.stages.embedding import Embed, embedded

LEAST_LOG = -1000.0
"""Of a probability that is 0 to the computer: what one probe rules out, another may still overrule."""
UNSEEN = "the embeddings come from a table, which has none of new images"


@stage(version=4, section="embedding")
def assignment(  # noqa: PLR0913  (the parameters of a stage declare what it reads)
    config: EmbeddingConfig,
    images: Images,
    embeddings: Embeddings,
    clusters: Clusters,
    real: HeldOutEmbeddings,
    base: BaseModel,
    samples: Samples,
    *,
    work: Work,
) -> Assignment:
    """Embed generated images as the training images were, and assign them and the held-out ones to the clusters.

    How many held-out images keep their cluster at the resolution of the model, and after a pass through its
    autoencoder, is the most that generated images can be expected to reach. Where images show several findings, each
    is looked for by itself, too.
    """
    listed = samples.rows
    wanted = np.column_stack([clusters.assign(real.vectors["original"], real.ids), images.held_out.labels])
    wanted_made = wanted_of(listed, images.label_names)
    ids = {"heldout": real.ids, "samples": [row["file_name"] for row in listed]}
    if isinstance(config.model, Table):
        blind = {part: _unseen(rows) for part, rows in (("heldout", wanted), ("samples", wanted_made))}
        protocol = {"extractor": "assignment", "layer": "a table of vectors"}
        return Assignment(ids, blind, clusters.n_clusters, images.label_names, protocol, UNSEEN)
    probe = Probe.of(images, embeddings)
    made = embedded("samples", Embed(config, partial(map, samples.read), work.machine.batch_size), listed, work)

    def beside_shown(wanted: NDArray[np.int64], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.column_stack([wanted[:, 0], clusters.assign(vectors), wanted[:, 1], probe.labels(vectors)])

    vectors = {part: real.vectors[part] for part in ("heldout", "floor") if part in real.vectors} | {"samples": made}
    parts = {part: beside_shown(wanted_made if part == "samples" else wanted, of) for part, of in vectors.items()}
    protocol = _protocol(config, embeddings, clusters, base.resolution)
    slides = [str(value) for value in images.select(real.ids).metadata[images.group]] if images.group else []
    shown = {part: probe.findings(of) for part, of in vectors.items()}
    findings = {name: {part: of[:, place] for part, of in shown.items()} for place, name in enumerate(probe.names)}
    return Assignment(ids, parts, clusters.n_clusters, images.label_names, protocol, slides=slides, findings=findings)


def _unseen(wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (n, 4) of images in which nothing was looked for."""
    return np.insert(wanted, [1, 2], -1, axis=1)


def _protocol(config: EmbeddingConfig, embeddings: Embeddings, clusters: Clusters, side: int) -> JsonObject:
    """What an assignment depends on, in the fields of a row of scores."""
    about = embeddings.about
    scaled = f"mean {about['mean']}, std {about['std']}" if about.get("mean") else "of the embedder"
    fitted = {name: array.tolist() for name, array in sorted(clusters.state.items())}
    return {
        "extractor": "assignment",
        "layer": "the recipe's embedder and clusterer",
        "d": embeddings.vectors.shape[1],
        "digest": digest([config.dump(), fitted]),
        "preprocessing": f"{scaled}, view {config.view}",
        "eval_resolution": side,
        "resize": f"{SQUARE} @{side}; {about.get('interpolation')} @{about.get('size')}",
        "dtype": about.get("dtype", "float32"),
    }


def wanted_of(rows: Sequence[JsonObject], label_names: Sequence[str]) -> NDArray[np.int64]:
    """Cluster and label that every sample's caption names, int64 (m, 2); -1 where it names none."""
    number = {name: index for index, name in enumerate(label_names)}
    pairs = [(-1 if row["cluster"] is None else row["cluster"], number.get(row["label"], -1)) for row in rows]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Probe:
    """What tells the label of a vector: a logistic regression on the training images, none where there are no labels.

    Where images show several findings there is one for each finding that some of these images show and others do not.

    names       of the findings, in the order of the regressions; empty where images have one label
    there       bool (labels, findings)     True where a label says that a finding is there
    """

    regressions: list[Any]
    names: list[str]
    there: NDArray[np.bool_]

    @classmethod
    def of(cls, images: Images, embeddings: Embeddings) -> Self:
        seen = images.select(embeddings.ids)
        rows = np.flatnonzero((seen.splits == TRAIN) & (seen.labels >= 0))
        vectors, labels = embeddings.vectors[rows], seen.labels[rows]
        nothing = np.zeros((len(images.label_names), 0), dtype=bool)
        if len(np.unique(labels)) < 2:
            return cls([], [], nothing)
        if not images.findings:
            return cls([_regression().fit(vectors, labels)], [], nothing)
        of_label = images.findings.shown(images.label_names)
        shown = of_label[labels]
        varied = np.flatnonzero(shown.any(axis=0) & ~shown.all(axis=0)).tolist()
        regressions = [_regression().fit(vectors, shown[:, finding]) for finding in varied]
        return cls(regressions, [images.findings.names[finding] for finding in varied], of_label[:, varied])

    def labels(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """int64 (n,); of findings the most probable label of all that images of the dataset have. -1 without labels."""
        if not self.regressions:
            return np.full(len(vectors), -1, dtype=np.int64)
        if not self.names:
            return np.asarray(self.regressions[0].predict(vectors), dtype=np.int64)
        with np.errstate(divide="ignore"):  # a probability of 0 is bounded below
            logs = np.stack([probe.predict_log_proba(vectors) for probe in self.regressions], axis=1)  # n, findings, 2
        logs, there = np.maximum(logs, LEAST_LOG), self.there.T.astype(np.float64)
        return np.asarray((logs[:, :, 0] @ (1 - there) + logs[:, :, 1] @ there).argmax(axis=1), dtype=np.int64)

    def findings(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """How probable each finding is, float64 (n, findings)."""
        columns = [self.regressions[place].predict_proba(vectors)[:, 1] for place in range(len(self.names))]
        return np.stack(columns, axis=1).astype(np.float64) if columns else np.zeros((len(vectors), 0))


def _regression() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
