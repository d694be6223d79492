from __future__ import annotations

from typing import Literal

import numpy as np

from mep.methods.balancers import Balancer, Choice, Groups


class NoBalancer(Balancer):
    """Keeps every image that has a cluster."""

    kind: Literal["none"]

    def pick(self, groups: Groups, *, seed: int) -> Choice:
        rows = np.flatnonzero(groups.inner >= 0)
        return Choice(rows, np.ones(len(rows)), [])
