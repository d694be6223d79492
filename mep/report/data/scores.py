"""The scores of arms, read from the database: one query for hundreds of runs, whether or not files still exist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from mep.artifacts.score_row import SQL_COLUMNS, JsonObject, ScoreRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mep.report.data.arms import Arm
    from mep.store import Store

Key = tuple[str, str, str, str]
"""Extractor, metric, group, reference."""


@dataclass(eq=False, slots=True)
class StoredScore:
    """A score as it was stored. Hundreds of runs have a hundred thousand.

    kind            the row without its number and its counts: the same object for all scores that were made alike
    columns         the same as it was stored, by name; columns of the database first
    dataset         artifact that its real images came from
    artifact_id     artifact that holds it, as row `number`
    references      artifact with the features of the real images
    """

    kind: ScoreRow
    columns: JsonObject
    value: float | None
    se: float | None
    n_real: int
    n_fake: int
    dataset: str
    artifact_id: str
    number: int
    references: str = ""

    def as_json(self) -> JsonObject:
        """Everything that was stored, by name."""
        return self.columns | {"value": self.value, "se": self.se, "n_real": self.n_real, "n_fake": self.n_fake}


def read_scores(store: Store, arms: Sequence[Arm]) -> None:
    """Fill the scores of arms; those that share an artifact share its scores."""
    users: dict[str, list[Arm]] = {}
    for arm in arms:
        for artifact_id in arm.used.values():
            users.setdefault(artifact_id, []).append(arm)
    run_ids = list(dict.fromkeys(arm.run_id for arm in arms))
    marks = ", ".join("?" * len(run_ids))
    rows = store.db.tuples(
        "SELECT artifact_id, row, metric, subject, better, reference, extractor, protocol, value, se, n_real, n_fake"
        f" FROM scores WHERE artifact_id IN (SELECT artifact_id FROM uses WHERE run_id IN ({marks}))"
        " ORDER BY artifact_id, row",
        *run_ids,
    )
    for artifact_id, rows_of_artifact in groupby(rows, key=itemgetter(0)):
        sources = [
            (arm.scores, arm.used.get("dataset", ""), arm.used.get("references", "")) for arm in users[artifact_id]
        ]
        for _, number, *columns, value, se, n_real, n_fake in rows_of_artifact:
            key, kind, stored = _kind(*columns)
            for scores, dataset, references in sources:
                scores[key] = StoredScore(
                    kind, stored, value, se, n_real, n_fake, dataset, artifact_id, number, references
                )


@lru_cache(maxsize=65536)
def _kind(
    metric: str, subject: str, better: str, reference: str, extractor: str, protocol: str
) -> tuple[tuple[str, Key], ScoreRow, JsonObject]:
    columns: JsonObject = dict.fromkeys(SQL_COLUMNS)
    columns |= {"metric": metric, "subject": subject, "better": better, "reference": reference, "extractor": extractor}
    columns |= {"group": "all", "flags": []} | json.loads(protocol)
    kind = ScoreRow.from_json(columns)
    return (kind.subject, (extractor, kind.metric, kind.group, kind.reference)), kind, columns


class Halves:
    """What scores were on random halves of the images, read from their artifacts when asked for."""

    def __init__(self, store: Store):
        self.store = store
        self.loaded: dict[str, NDArray[np.float64] | None] = {}

    def of(self, score: StoredScore) -> NDArray[np.float64] | None:
        """float64 (s,); None where the files are gone."""
        import numpy as np

        if score.artifact_id not in self.loaded:
            path = self.store.folder(score.artifact_id) / "halves.npy"
            try:
                self.loaded[score.artifact_id] = np.load(path, allow_pickle=False)
            except (OSError, ValueError):
                self.loaded[score.artifact_id] = None
        values = self.loaded[score.artifact_id]
        return None if values is None or score.number >= len(values) else values[score.number]
