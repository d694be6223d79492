"""Reducers: vectors -> fewer dimensions, in which clusters are sought. One file, one reducer."""

from __future__ import annotations

from typing import ClassVar

from mep.methods.clusterers import State, Vectors
from mep.registry import Method


class Reducer(Method):
    """Brings vectors into fewer dimensions, and new ones to the same place."""

    noun: ClassVar[str] = "reducer"

    def learn(self, vectors: Vectors, *, seed: int) -> State:
        """What `apply` needs, as arrays; DataError where the vectors are too few or too short."""
        raise NotImplementedError

    def apply(self, state: State, vectors: Vectors) -> Vectors:
        """float32 (m, d') of any vectors, those that it learned from among them."""
        raise NotImplementedError
