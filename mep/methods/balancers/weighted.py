from __future__ import annotations

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
    """Most often that an image is drawn, relative to one of the largest group: few images are soon learned by heart."""

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        counts = groups.counts.ravel()
        rows = np.flatnonzero(groups.inner >= 0)
        even = (counts.max() / np.maximum(counts, 1)) ** self.power
        weights = np.minimum(even, self.max_weight)
        shortage = [
            f"{groups.name(group)}: {counts[group]} images, {even[group]:.3g} times would be even,"
            f" {weights[group]:.3g} times it is"
            for group in np.flatnonzero((counts > 0) & (weights < even)).tolist()
        ]
        weight_of_image = weights[groups.flat[rows]]
        return Choice(rows, weight_of_image / weight_of_image.mean(), shortage)
