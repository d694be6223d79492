"""The golden sets of features, drawn as they were published."""

import numpy as np


def golden(name):
    """Real and fake features of a golden case."""
    rs = np.random.RandomState({"A": 0, "B": 1, "C": 2, "F": 3}[name])
    if name == "A":
        return rs.randn(60, 8), 0.8 * rs.randn(50, 8) + 0.3
    if name == "B":
        return rs.randn(20, 64), rs.randn(30, 64) * 1.5 - 0.25  # fewer images than dimensions
    if name == "C":
        real = rs.randn(40, 16)
        return real, np.concatenate([real[:10], 0.5 * rs.randn(20, 16)])  # ten fakes are copies
    return rs.randn(1200, 16), rs.randn(1200, 16) + 0.1
