from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mep.methods.balancers import Balancer, Choice, Groups, draw


class Oversample(Balancer):
    """Repeats images until every group is as large as the largest: whole numbers of times, the rest by lot."""

    kind: Literal["oversample"]
    max_repeats: int = Field(20, ge=1, le=1_000_000)
    """Most often that an image is repeated: few images are soon learned by heart."""

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        counts = groups.counts.ravel()
        flat = groups.flat
        rows = np.flatnonzero(flat >= 0)
        full, rest = np.divmod(counts.max(), np.maximum(counts, 1))
        repeats = full[flat[rows]]
        repeats[np.searchsorted(rows, draw(flat, rest, seed))] += 1
        repeats = np.minimum(repeats, self.max_repeats)
        shortage = [
            f"{groups.name(group)}: {counts[group]} images make {counts[group] * self.max_repeats} of {counts.max()}"
            for group in np.flatnonzero((counts > 0) & (counts * self.max_repeats < counts.max())).tolist()
        ]
        return Choice(rows, repeats / repeats.mean(), shortage)
