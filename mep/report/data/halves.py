"""What stands behind the error of a difference of two scores: halves of the images, and what every image adds."""

import math

import numpy as np
from numpy.typing import NDArray

from mep.artifacts.scores import load_influences
from mep.evaluation.uncertainty import spread
from mep.report.data.arms import StoredScore
from mep.statistics.influence import Influence
from mep.store import Store


class Halves:
    """What scores were on halves of the images, and what every image adds: read from artifacts when asked for."""

    def __init__(self, store: Store):
        self.store = store
        self.loaded: dict[str, NDArray[np.float64] | None] = {}
        self.influences: dict[str, dict[int, Influence]] = {}
        self.errors: dict[tuple[str, str], NDArray[np.float64]] = {}

    def of(self, score: StoredScore) -> NDArray[np.float64] | None:
        """float64 (pairs, 2), or (s,) of resamples and of what older versions stored; None where the files are gone."""
        values = self._all(score.artifact_id)
        return None if values is None or score.number >= len(values) else values[score.number]

    def influence_of(self, score: StoredScore) -> Influence | None:
        """None where the error of a difference has no closed form, or the files are gone."""
        if score.artifact_id not in self.influences:
            try:
                self.influences[score.artifact_id] = load_influences(self.store.folder(score.artifact_id))
            except (OSError, ValueError, KeyError):
                self.influences[score.artifact_id] = {}
        return self.influences[score.artifact_id].get(score.number)

    def error_of_difference(self, mine: StoredScore, theirs: StoredScore) -> float | None:
        """Standard error of one score minus another, from their halves; those of two artifacts are computed together.

        returns     nan where one of them has no halves, or both a single pair; None where files are gone
        """
        pair = mine.artifact_id, theirs.artifact_id
        all_mine, all_theirs = (self._all(artifact_id) for artifact_id in pair)
        if all_mine is None or all_theirs is None:
            return None
        if mine.number >= len(all_mine) or theirs.number >= len(all_theirs):
            return None
        if all_mine.shape[1:] != all_theirs.shape[1:] or all_mine.shape[1] < 2:
            return math.nan
        if mine.number != theirs.number:
            return float(spread(all_mine[mine.number] - all_theirs[theirs.number]))
        if pair not in self.errors:
            n = min(len(all_mine), len(all_theirs))
            self.errors[pair] = spread(all_mine[:n] - all_theirs[:n], n_axes=1)
        return float(self.errors[pair][mine.number])

    def _all(self, artifact_id: str) -> NDArray[np.float64] | None:
        if artifact_id not in self.loaded:
            path = self.store.folder(artifact_id) / "halves.npy"
            try:
                self.loaded[artifact_id] = np.load(path, allow_pickle=False)
            except (OSError, ValueError):
                self.loaded[artifact_id] = None
        return self.loaded[artifact_id]
