"""Balancers: which images the model is trained on. They see the record, never the caption. One file, one balancer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Groups:
    """The groups of n images in two levels, such as clusters within labels."""

    outer: NDArray[np.int64]  # (n,)
    inner: NDArray[np.int64]  # (n,), -1 for images that are never picked
    outer_names: list[str]  # by number; a single empty text where there is only one level
    inner_names: list[str]

    @cached_property
    def flat(self) -> NDArray[np.int64]:
        """int64 (n,) number of the group, by both levels; -1 for images that are never picked."""
        return np.where(self.inner >= 0, self.outer * len(self.inner_names) + self.inner, -1)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """int64 (outer, inner) images of each group."""
        shape = (len(self.outer_names), len(self.inner_names))
        return np.bincount(self.flat[self.flat >= 0], minlength=math.prod(shape)).reshape(shape)

    def name(self, group: int) -> str:
        outer, inner = divmod(group, len(self.inner_names))
        return ", ".join(filter(None, (self.outer_names[outer], self.inner_names[inner])))


@dataclass(frozen=True)
class Choice:
    """The images that were picked."""

    rows: NDArray[np.int64]  # (t,), sorted
    weights: NDArray[np.float64]  # (t,), how often each is drawn, relative to the others; mean 1
    shortage: list[str]  # a text for each group that is left out or smaller than the others


class Balancer(Method):
    """Picks images so that groups are represented as wanted."""

    noun: ClassVar[str] = "balancer"

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        """A choice among the images of the groups; DataError where no group is large enough."""
        raise NotImplementedError

    def foresee(self, sizes: Mapping[str, int]) -> list[str]:
        """Values of the first level that will starve the others, told from the number of images of each alone."""
        return []


def draw(groups: NDArray[np.int64], quota: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Sorted rows of at most quota[g] random images of each group g; groups int64 (n,), -1 is never drawn."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(groups >= 0))
    numbers = groups[rows].astype(np.min_scalar_type(len(quota)))  # few groups are sorted in one pass
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers, minlength=len(quota))
    place_in_group = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(rows[order[place_in_group < np.repeat(quota, sizes)]])
