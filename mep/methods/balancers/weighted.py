"""All images, drawn more often where there are few."""

from typing import Literal

import numpy as np
from pydantic import Field

from mep.methods.balancers import Balancer, Choice, Groups


class Weighted(Balancer):
    """Keeps all images and draws those of small groups more often, instead of dropping those of large ones."""

    kind: Literal["weighted"]
    power: float = Field(1.0, gt=0, le=1)
    """1: every group is drawn equally often; 0.5: in proportion to the square root of its size."""
    max_weight: float = Field(20.0, ge=1)
    """Most often that an image is drawn, relative to one of the largest group: few images soon are learned by heart."""

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        counts = groups.counts.ravel()
        rows = np.flatnonzero(groups.inner >= 0)
        wanted = (counts.max() / np.maximum(counts, 1)) ** self.power
        weights = np.minimum(wanted, self.max_weight)
        shortage = [
            f"{groups.name(group)}: {counts[group]} images, {wanted[group]:.3g} times would be even,"
            f" {weights[group]:.3g} times it is"
            for group in np.flatnonzero((counts > 0) & (weights < wanted)).tolist()
        ]
        drawn = weights[groups.flat[rows]]
        return Choice(rows, drawn / drawn.mean(), shortage)
