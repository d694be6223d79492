"""Random bits follow from a seed and a place, whatever the device and the size of the pieces."""

import numpy as np
import pytest
import torch

from mep.machine import random_bits
from mep.machine.random_bits import GAMMA, random_16_bits, split_mix


def test_words_are_those_of_split_mix():
    # the values that Java's SplittableRandom and the reference code of Vigna give for the seed 1234567
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    words = split_mix(torch.arange(1, 5) * GAMMA + 1234567)
    assert [int(word) % 2**64 for word in words] == published


def test_pieces_and_places_change_no_bit(monkeypatch):
    whole = random_16_bits(1000, seed=2**63 - 1)
    monkeypatch.setattr(random_bits, "CHUNK", {"cpu": 7, "cuda": 7})
    assert torch.equal(random_16_bits(1000, seed=2**63 - 1), whole)
    later = random_16_bits(400, seed=2**63 - 1, start=100)  # words 101 to 200 of 250
    assert torch.equal(later.view(4, 100), whole.view(4, 250)[:, 100:200])


def test_numbers_are_uniform_and_independent_of_their_neighbours_and_seeds():
    n = 400_000
    numbers, others = (random_16_bits(n, seed=seed).numpy() for seed in (0, 1))
    counts = np.bincount(numbers >> 8, minlength=256)
    assert ((counts - n / 256) ** 2 / (n / 256)).sum() < 330  # chi-squared of 255: 0.1 % lie above
    assert numbers.min() >= 0
    assert numbers.max() < 2**16
    for one, two in ((numbers[1:], numbers[:-1]), (numbers, others), (numbers[: n // 2], numbers[n // 2 :])):
        assert np.corrcoef(one, two)[0, 1] == pytest.approx(0, abs=4 / np.sqrt(n / 2))
