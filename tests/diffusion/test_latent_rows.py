"""Latents on disk: exactly, or in a quarter of the space with what that costs."""

import numpy as np
import pytest

from mep.diffusion.latent_rows import Compact, Exact
from mep.imaging.pixels import SYMMETRIES, symmetry

SHAPE = (4, 6, 6)


def views(turns, seed=0):
    """Posteriors of an encoder that turns with its image; means around 5, deviations around 1e-3."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, 5, SHAPE).astype(np.float32)
    std = np.exp(rng.normal(-7, 1, SHAPE)).astype(np.float32)
    turned = [[symmetry(one.transpose(1, 2, 0), turn).transpose(2, 0, 1) for one in (mean, std)] for turn in turns]
    return np.array(turned, dtype=np.float32)


@pytest.mark.parametrize(("name", "share"), [("square", 17 / 64), ("mirror", 5 / 16), ("none", 3 / 8)])
def test_compact_latents_take_a_share_of_the_exact_ones(name, share):
    given = views(SYMMETRIES[name])
    assert Compact(SHAPE, SYMMETRIES[name]).pack(given).nbytes == share * Exact().pack(given).nbytes


def test_every_view_comes_back_within_the_precision_that_is_said():
    turns = SYMMETRIES["square"]
    given, compact = views(turns), Compact(SHAPE, turns)
    row = compact.pack(given)
    for place, view in enumerate(given):
        mean, std = compact.unpack(row, place)
        assert np.abs(mean / view[0] - 1).max() <= 2**-8
        assert np.abs(std / view[1] - 1).max() <= 0.052
        assert np.array_equal(Exact().unpack(Exact().pack(given), place), view)


def test_deviations_beyond_what_a_byte_holds_are_the_nearest_that_it_does():
    given = np.ones((1, 2, *SHAPE), np.float32)
    given[0, 1, 0] = 0
    std = Compact(SHAPE, (0,)).unpack(Compact(SHAPE, (0,)).pack(given), 0)[1]
    assert std[0].max() == pytest.approx(np.exp(-15))
    assert std[1].min() == pytest.approx(1, rel=0.05)
