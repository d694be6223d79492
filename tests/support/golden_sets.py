"""Sets of features whose scores are known.

They are drawn from numpy's frozen legacy stream. Their values were agreed by several implementations (clean-fid,
torch-fidelity, torchmetrics, scikit-learn, prdc, dgm-eval, cmmd-pytorch, vendi_score) or worked out by brute force.
"""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

DIGITS = 6e-7  # the golden values are given to six decimals


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


@st.composite
def two_sets(draw):
    """Gaussian sets of 12 to 40 rows in 2 to 30 dimensions, so that rows may outnumber dimensions or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, m, d = draw(st.integers(12, 40)), draw(st.integers(12, 40)), draw(st.integers(2, 30))
    return rng.normal(size=(n, d)), draw(st.floats(0.5, 2)) * rng.normal(size=(m, d)) + draw(st.floats(-1, 1))


def rotation(d):
    return np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]


few = settings(max_examples=25, deadline=None)
