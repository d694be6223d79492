"""Lloyd's iterations in blocks of rows: memory for the vectors and one block, whatever their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mep.methods.clusterers import Labels, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_ROWS = 8192
TOLERANCE = 1e-4
"""The iterations end when the centres move by less than this share of the mean variance, as in scikit-learn."""
MAX_ITERATIONS = 300


def lloyd(vectors: Vectors, centers: Vectors, *, spherical: bool = False) -> Vectors:
    """Centres float32 (k, d) refined on vectors float32 (n, d) until they hardly move; spherical: by direction."""
    from scipy.sparse import csr_array

    k, d = centers.shape
    limit = TOLERANCE * _mean_variance(vectors, spherical)
    for _ in range(MAX_ITERATIONS):
        sums, counts = np.zeros((k, d)), np.zeros(k)
        for block in _blocks(vectors, spherical):
            labels = closest(centers, block)
            pick = csr_array((np.ones(len(block), np.float32), (labels, np.arange(len(block)))), (k, len(block)))
            sums += pick @ block
            counts += np.bincount(labels, minlength=k)
        filled = counts > 0
        moved = centers.copy()
        moved[filled] = sums[filled] / counts[filled, None]
        moved = to_unit(moved) if spherical else moved
        shift, centers = float(((moved - centers) ** 2).sum()), moved
        if shift <= limit:
            break
    return centers


def closest(centers: Vectors, block: Vectors) -> Labels:
    """int64 (b,) row of the centre nearest to each vector of a block."""
    scores = block @ centers.T
    scores *= -2
    scores += (centers**2).sum(1)
    return np.asarray(scores.argmin(1), dtype=np.int64)


def label_all(centers: Vectors, vectors: Vectors, *, spherical: bool = False) -> tuple[Labels, NDArray[np.float32]]:
    """Cluster int64 (n,) of every vector and Euclidean distance float32 (n,) to its centre."""
    labels, distances = [], []
    for block in _blocks(vectors, spherical):
        labels.append(closest(centers, block))
        distances.append(np.linalg.norm(block - centers[labels[-1]], axis=1).astype(np.float32))
    return np.concatenate(labels), np.concatenate(distances)


def to_unit(vectors: Vectors) -> Vectors:
    """Vectors of length one; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12).astype(vectors.dtype))


def _blocks(vectors: Vectors, spherical: bool) -> Iterator[Vectors]:
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = np.asarray(vectors[start : start + BLOCK_ROWS], dtype=np.float32)
        yield to_unit(block) if spherical else block


def _mean_variance(vectors: Vectors, spherical: bool) -> float:
    total, squares = np.zeros(vectors.shape[1]), np.zeros(vectors.shape[1])
    for block in _blocks(vectors, spherical):
        total += block.sum(0, dtype=np.float64)
        squares += np.einsum("nd,nd->d", block, block, dtype=np.float64)
    mean = total / len(vectors)
    return float((squares / len(vectors) - mean**2).mean())
