"""Vectors with groups that are known."""

import numpy as np

NESTED = {"coarse": {"kind": "kmeans", "k": 2}, "fine": {"kind": "kmeans", "k": 3}}
"""A clusterer that finds what `nested` plants."""


def nested(n=40, seed=0):
    """Six groups of n, three around each of two places that are far apart; vectors, coarse group, group."""
    groups = np.repeat(np.arange(6), n)
    centers = np.array([[100 * (group // 3), 10 * (group % 3)] for group in range(6)])
    vectors = centers[groups] + np.random.default_rng(seed).normal(size=(6 * n, 2))
    return vectors.astype(np.float32), groups // 3, groups
