"""No balancing."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mep.balancers import Balancer, Choice


class NoBalancer(Balancer):
    """Keeps every image that has a cluster."""

    kind: Literal["none"]

    def pick(
        self, labels: NDArray[np.int64], clusters: NDArray[np.int64], label_names: list[str], *, seed: int
    ) -> Choice:
        rows = np.flatnonzero(clusters >= 0)
        return Choice(rows, np.ones(len(rows)), [])
