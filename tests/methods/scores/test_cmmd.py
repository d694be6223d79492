"""The distance of mean embeddings under a Gaussian kernel."""

import numpy as np
import pytest
from golden_sets import DIGITS, golden

from mep.errors import DataError
from mep.methods.scores.cmmd import Cmmd, median_distance, mmd
from mep.methods.scores.vendi import Vendi


@pytest.mark.parametrize(
    ("name", "raw", "unit"), [("A", 7.750967, 1.376702), ("B", 122.099534, 1.098239), ("C", 5.782020, 0.471275)]
)
def test_mean_embedding_distance_of_the_golden_sets(name, raw, unit):
    sets = golden(name)
    assert Cmmd(kind="cmmd", unit_length=False).measure(*sets)["mmd_rbf"] == pytest.approx(raw, abs=DIGITS)
    assert Cmmd(kind="cmmd").measure(*sets)["mmd_rbf"] == pytest.approx(unit, abs=DIGITS)


def test_without_the_diagonal_the_mean_embedding_distance_is_unbiased():
    found = Cmmd(kind="cmmd", unbiased=True).measure(*golden("A"))["mmd_rbf"]
    assert found == pytest.approx(1.026826, abs=DIGITS)


def test_at_the_paper_s_bandwidth_the_kernel_is_all_but_linear():
    real, fake = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in golden("A"))
    assert mmd(real, fake, sigma=10) == pytest.approx(10 * ((real.mean(0) - fake.mean(0)) ** 2).sum(), rel=0.01)


def test_the_median_bandwidth_sees_a_change_of_spread_that_means_hide():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(300, 4)), 2 * rng.normal(size=(300, 4))
    sigma = median_distance(real)
    assert sigma == pytest.approx(
        np.median(np.linalg.norm(real[:, None] - real[None], axis=2)[np.triu_indices(300, 1)])
    )
    alike = mmd(real, rng.normal(size=(300, 4)), sigma=sigma)
    assert mmd(real, fake, sigma=sigma) > 10 * alike
    assert Cmmd(kind="cmmd", sigma="median", unit_length=False).measure(real, fake)["mmd_rbf"] == pytest.approx(
        mmd(real, fake, sigma=sigma)
    )


def test_rows_without_direction_are_refused_where_length_is_taken_off():
    real, fake = golden("A")
    fake[3] = 0
    for score in (Cmmd(kind="cmmd"), Vendi(kind="vendi")):
        with pytest.raises(DataError, match="no direction"):
            score.measure(real, fake)
