"""One pass over all pairs: exact where it decides, whatever the block, the arithmetic and the scale."""

import numpy as np
import pytest
import torch

from mep.statistics.distances import Arithmetic, nearest_rows, smallest
from mep.statistics.pairwise import compare


def sets(n=150, m=130, d=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 0.9 * rng.normal(size=(m, d)) + 0.1


def by_hand(real, fake, k):
    """Radii and hits from the whole table of distances."""
    within = [((rows[:, None] - rows[None]) ** 2).sum(2) for rows in (real, fake)]
    across = ((fake[:, None] - real[None]) ** 2).sum(2)
    radii = [np.sort(table, axis=1)[:, k] for table in within]  # rank 0 is the image itself
    balls, recalled = (across <= radii[0]), (across <= radii[1][:, None])
    return radii, balls.sum(1), balls.any(0), recalled.any(0), across.argmin(1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block", [7, 64, 2048])
def test_every_decision_is_the_one_that_the_whole_table_gives(dtype, block):
    real, fake = sets()
    found = compare(real, fake, ks=(3, 5), arithmetic=Arithmetic(dtype, block))
    for k in (3, 5):
        radii, balls, covered, recalled, nearest = by_hand(real, fake, k)
        assert found.radii_real[k] == pytest.approx(radii[0], rel=1e-12)
        assert found.radii_fake[k] == pytest.approx(radii[1], rel=1e-12)
        assert np.array_equal(found.hits[k].balls, balls)
        assert np.array_equal(found.hits[k].covered, covered)
        assert np.array_equal(found.hits[k].recalled, recalled)
    assert np.array_equal(found.nearest_real, nearest)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e8])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_scale_and_offset_change_no_decision(scale, offset):
    real, fake = sets()
    plain, moved = compare(real, fake), compare(scale * (real + offset), scale * (fake + offset))
    assert np.array_equal(plain.hits[5].balls, moved.hits[5].balls)
    assert np.array_equal(plain.hits[3].recalled, moved.hits[3].recalled)
    assert np.array_equal(plain.nearest_real, moved.nearest_real)


def test_float32_leaves_seven_digits_of_the_kernel():
    real, fake = sets(d=512)
    rough, fine = (
        compare(real + 0.5, fake + 0.5).kernel,
        compare(real + 0.5, fake + 0.5, arithmetic=Arithmetic("float64")).kernel,
    )
    table = ((real + 0.5) @ (fake + 0.5).T / 512 + 1) ** 3
    assert fine.across_of_real == pytest.approx(table.sum(1), rel=1e-12)
    assert rough.across_of_real == pytest.approx(table.sum(1), rel=1e-6)
    assert rough.fake == pytest.approx(fine.fake, rel=1e-6)


def test_the_nearest_rows_are_found_and_a_row_can_be_left_out():
    real, fake = sets()
    table = ((fake[:, None] - real[None]) ** 2).sum(2)
    rows, squared = nearest_rows(fake, real, 4, arithmetic=Arithmetic(block=32))
    assert np.array_equal(rows[:, 0], table.argmin(1))
    assert squared[:, 0] == pytest.approx(table.min(1), rel=1e-12)
    assert squared[:, 3] == pytest.approx(np.sort(table, 1)[:, 3], rel=1e-12)
    others = nearest_rows(real, real, 1, skip=np.arange(len(real)), arithmetic=Arithmetic(block=32))
    assert others[1][:, 0] == pytest.approx(by_hand(real, fake, 1)[0][0], rel=1e-12)
    assert nearest_rows(real, real, 1)[1].max() == 0


def test_many_copies_of_one_image_are_all_at_distance_zero():
    real, fake = sets(d=300)
    real[20:60], fake[:50] = real[20], real[20]
    found = compare(real.astype(np.float32), fake.astype(np.float32), arithmetic=Arithmetic(block=32))
    assert (found.radii_real[3][20:60] == 0).all()
    assert (found.hits[3].balls[:50] >= 40).all()
    assert found.hits[3].covered[20:60].all()


def test_the_smallest_of_stripes_are_the_smallest_of_all():
    table = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 1024)).astype(np.float32))
    for view in (table, table.T.contiguous().T):
        values, columns = smallest(view, 6)
        assert torch.equal(values.sort(1)[0], table.sort(1)[0][:, :6])
        assert torch.equal(table.gather(1, columns), values)
