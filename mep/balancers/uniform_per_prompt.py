"""The same number of images for every group, and the same number of groups for every label."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.balancers import Balancer, Choice
from mep.errors import DataError


class UniformPerPrompt(Balancer):
    """Each label keeps its p most populated clusters, each cluster the same number of images.

    The aim of Osorio et al. 2024, for any number of images and labels. Of all p the one that keeps most images wins;
    among equals the largest p.
    """

    kind: Literal["uniform_per_prompt"]
    min_prompts_per_label: int = Field(1, ge=1)
    """Fewest clusters that a label may be left with."""
    max_images_per_prompt: int | None = Field(None, ge=1)
    """Cap on the images of a group."""

    def pick(
        self, labels: NDArray[np.int64], clusters: NDArray[np.int64], label_names: list[str], *, seed: int
    ) -> Choice:
        counts = _count(labels, clusters)
        order = np.argsort(-counts, axis=1, kind="stable")
        ranked = np.take_along_axis(counts, order, axis=1)
        sizes = np.minimum(ranked.min(axis=0), self.max_images_per_prompt or ranked.max())
        kept = sizes * np.arange(1, len(sizes) + 1)
        kept[: self.min_prompts_per_label - 1] = 0
        if kept.max(initial=0) == 0:
            raise DataError(
                f"no label keeps {self.min_prompts_per_label} clusters that every label can fill",
                hint="lower min_prompts_per_label or the number of clusters",
                field="balancing.method.min_prompts_per_label",
            )
        n_prompts = len(kept) - int(kept[::-1].argmax())
        size = int(sizes[n_prompts - 1])
        rng = np.random.default_rng(seed)
        names, rows = label_names or ["(no label)"], []
        shortage = []
        for label in range(len(counts)):
            members_of_label = clusters if counts.shape[0] == 1 else np.where(labels == label, clusters, -1)
            for rank, cluster in enumerate(order[label]):
                available = np.flatnonzero(members_of_label == cluster)
                if rank < n_prompts:
                    rows.append(rng.choice(available, size, replace=False))
                elif len(available):
                    shortage.append(f"{names[label]}, cluster {cluster}: {len(available)} images left out")
        return Choice(np.sort(np.concatenate(rows)), np.ones(size * n_prompts * len(counts)), shortage)


def _count(labels: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (labels, clusters) number of images in each group; one row where there are no labels."""
    inside = clusters >= 0
    rows = np.maximum(labels[inside], 0)
    shape = (int(labels.max(initial=0)) + 1 if labels.max(initial=-1) >= 0 else 1, int(clusters.max(initial=-1)) + 1)
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (rows, clusters[inside]), 1)
    return counts
