"""The kernel distance over subsets, as papers report it."""

import pytest
from golden_sets import DIGITS, golden

from mep.errors import DataError
from mep.methods.scores.kid_subsets import KidSubsets


@pytest.mark.parametrize(
    ("subsets", "size", "seed", "mean", "std"),
    [(100, 1000, 2020, 0.042954, 0.003608), (100, 1000, 0, 0.042678, 0.003361), (10, 200, 0, 0.040714, 0.022721)],
)
def test_kernel_distance_over_subsets_is_that_of_papers(subsets, size, seed, mean, std):
    score = KidSubsets(kind="kid_subsets", subsets=subsets, size=size, seed=seed)
    values = score.measure(*golden("F"))
    assert (values["kid_subsets"], values["kid_subsets_std"]) == pytest.approx((mean, std), abs=DIGITS)


def test_subsets_larger_than_a_set_are_refused():
    with pytest.raises(DataError, match="60 real rows of features, at least 1000 are needed"):
        KidSubsets(kind="kid_subsets").measure(*golden("A"))
