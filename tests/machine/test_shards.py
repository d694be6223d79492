"""Rows that take long are kept shard by shard."""

import os

import numpy as np
import pytest

from mep.machine.shards import Shards
from mep.machine.work import Work


def rows_of(work, seen):
    def compute(part):
        seen.append(list(part))
        return np.array([[item, item**2] for item in part], dtype=np.float32)

    return Shards(work, "rows", range(10), 4).map(compute)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 90)])
def test_only_a_shard_that_is_missing_or_torn_is_computed_again(tmp_path, damage):
    seen = []
    whole = np.array(rows_of(Work(folder=tmp_path), seen))
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    damage(tmp_path / "rows" / "000000004.npy")
    seen.clear()
    assert np.array_equal(rows_of(Work(folder=tmp_path), seen), whole)
    assert seen == [[4, 5, 6, 7]]
