from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.errors import DataError
from mep.methods.balancers import Balancer, Choice, Groups, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray


class UniformPerPrompt(Balancer):
    """Each label keeps its p most populated clusters, each cluster the same number of images.

    The aim of Osorio et al. 2024, for any number of images and labels. Of all p the one that keeps most images wins;
    among equals the largest p.
    """

    kind: Literal["uniform_per_prompt"]
    min_prompts_per_label: int = Field(1, ge=1, le=1_000_000)
    """Fewest clusters that a label may be left with."""
    max_images_per_prompt: int | None = Field(None, ge=1, le=1_000_000_000)
    """Cap on the images of a group."""

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        counts = groups.counts
        order = np.argsort(-counts, axis=1, kind="stable")
        ranked = np.take_along_axis(counts, order, axis=1)
        sizes = np.minimum(ranked.min(axis=0), self.max_images_per_prompt or ranked.max())
        n_kept = sizes * np.arange(1, len(sizes) + 1)
        n_kept[: self.min_prompts_per_label - 1] = 0
        if n_kept.max(initial=0) == 0:
            raise DataError(
                f"no label keeps {self.min_prompts_per_label} clusters that every label can fill",
                hint="lower min_prompts_per_label or the number of clusters",
                field="balancing.method.min_prompts_per_label",
            )
        n_prompts = len(n_kept) - int(n_kept[::-1].argmax())
        quota = np.zeros_like(counts)
        np.put_along_axis(quota, order[:, :n_prompts], sizes[n_prompts - 1], axis=1)
        rows = draw(groups.flat, quota.ravel(), seed)
        shortage = [
            f"{groups.name(outer * counts.shape[1] + inner)}: {counts[outer, inner]} images left out"
            for outer, ranks in enumerate(order)
            for inner in ranks[n_prompts:]
            if counts[outer, inner]
        ]
        starving = self._starving(groups.outer_names, ranked, int(n_kept.max()))
        return Choice(rows, np.ones(len(rows)), [*starving, *shortage])

    def foresee(self, sizes: Mapping[str, int]) -> list[str]:
        cap = self.max_images_per_prompt
        if cap is not None and cap <= min(sizes.values(), default=0):
            return []  # what the cap of one cluster leaves can be taken of every value
        uncapped = self.model_copy(update={"max_images_per_prompt": None})
        ranked = np.array([*sizes.values()], dtype=np.int64)[:, None]
        return uncapped._starving([*sizes], ranked, int(min(sizes.values(), default=0)))

    def _starving(self, names: list[str], ranked: NDArray[np.int64], n_kept: int) -> list[str]:
        """The value of the first level that holds all others down, where each could keep twice as many without it.

        ranked      int64 (outer, inner) images of each group, the largest first
        n_kept      images that each value keeps
        """
        if len(ranked) < 2:
            return []
        without = [np.delete(ranked, outer, axis=0).min(axis=0) for outer in range(len(ranked))]
        cap = self.max_images_per_prompt or ranked.max()
        could_keep = [int((np.minimum(sizes, cap) * np.arange(1, len(sizes) + 1)).max()) for sizes in without]
        worst = int(np.argmax(could_keep))
        if could_keep[worst] < 2 * n_kept:
            return []
        from mep.artifacts.captions import CUT_TO

        n = int(ranked[worst].sum())
        return [
            f"{names[worst]} has {n:,} image{'s' * (n != 1)}: {CUT_TO} {n_kept:,}, without it to {could_keep[worst]:,}"
        ]
