"""Every epoch shows every image as often as its weight says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mep.diffusion.image_order import ImageOrder
from mep.machine.work import Work


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=30), st.integers(0, 5))
def test_an_epoch_shows_every_image_as_often_as_its_weight_says_rounded_up_or_down(weights, seed):
    weights = np.array(weights) / np.mean(weights)
    order, n = ImageOrder(Work(folder=Path("unused"), seed=seed), weights), len(weights)
    rows = np.concatenate([order(step, 1) for step in range(n)])
    seen = np.bincount(rows, minlength=n)
    assert (np.abs(seen - weights) < 1 + 1e-9).all()


def test_every_epoch_shows_every_image_once_in_another_order(tmp_path):
    order = ImageOrder(Work(folder=tmp_path, seed=3), np.ones(12))
    epochs = [np.concatenate([order(step, 4) for step in range(e * 3, e * 3 + 3)]) for e in (0, 1)]
    assert all(sorted(epoch.tolist()) == list(range(12)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_a_step_shows_the_same_images_whatever_was_asked_before(tmp_path):
    work = Work(folder=tmp_path, seed=3)
    order = ImageOrder(work, np.ones(10))
    forwards = [order(step, 7).tolist() for step in range(6)]  # batches that lie in two epochs
    assert [ImageOrder(work, np.ones(10))(step, 7).tolist() for step in reversed(range(6))] == forwards[::-1]


def test_an_order_is_drawn_once_an_epoch(tmp_path, monkeypatch):
    drawn, real = [], Work.rng
    monkeypatch.setattr(Work, "rng", lambda work, *names: drawn.append(names) or real(work, *names))
    order = ImageOrder(Work(folder=tmp_path), np.ones(1000))
    for step in range(50):
        order(step, 40)
    assert drawn == [("order", 0), ("order", 1)]


def test_weighted_images_come_in_proportion(tmp_path):
    order = ImageOrder(Work(folder=tmp_path), np.array([1.0, 1.0, 4.0]))
    drawn = np.concatenate([order(step, 30) for step in range(100)])
    share = np.bincount(drawn, minlength=3) / len(drawn)
    assert share == pytest.approx([1 / 6, 1 / 6, 4 / 6], abs=0.03)  # 3,000 draws: three standard errors are 0.026
