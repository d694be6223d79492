"""The Vendi score: how many different images there are."""

import math

import numpy as np
import pytest
from golden_sets import DIGITS, golden

from mep.methods.scores.vendi import Vendi, vendi


@pytest.mark.parametrize(
    ("name", "of_fake", "of_real"),
    [("A", 7.518089, 7.591894), ("B", 23.675935, 16.894018), ("C", 12.158929, 13.269314)],
)
def test_vendi_score_of_the_golden_sets(name, of_fake, of_real):
    real, fake = golden(name)
    assert Vendi(kind="vendi").measure(real, fake)["vendi"] == pytest.approx(of_fake, abs=DIGITS)
    assert vendi(real) == pytest.approx(of_real, abs=DIGITS)


def test_vendi_score_of_other_orders():
    fake = golden("A")[1]
    assert vendi(fake, 2) == pytest.approx(7.130581, abs=DIGITS)
    assert vendi(fake, math.inf) == pytest.approx(5.104146, abs=DIGITS)
    assert Vendi(kind="vendi", order="infinity").measure(fake, fake)["vendi"] == vendi(fake, math.inf)


def test_vendi_score_counts_kinds():
    assert vendi(np.repeat(np.eye(7), 4, axis=0)) == pytest.approx(7)
    assert vendi(np.ones((9, 3))) == pytest.approx(1)
