from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mep.methods.balancers import Balancer, Choice, Groups, draw


class Capped(Balancer):
    """Keeps every group, large ones cut to a cap by lot."""

    kind: Literal["capped"]
    max_images: int = Field(ge=1, le=1_000_000_000)
    """Most images of a group."""

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        counts = groups.counts.ravel()
        rows = draw(groups.flat, np.full(len(counts), self.max_images), seed)
        smaller = np.flatnonzero((counts > 0) & (counts < self.max_images)).tolist()
        shortage = [f"{groups.name(group)}: {counts[group]} images, the cap is {self.max_images}" for group in smaller]
        return Choice(rows, np.ones(len(rows)), shortage)
