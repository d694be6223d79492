"""p-values that hold up: adjusted where many metrics are tested, by permutation where the features are still there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mep.evaluation.uncertainty import holm
from mep.report.data.arms import Entry
from mep.store import Store

if TYPE_CHECKING:
    from mep.report.tables.comparison import Metric

LEVEL = 0.05

MOST_ARMS = 8
"""Rows of a table up to which permutations are computed: each takes a third of a second."""


def adjusted(metrics: Sequence[Metric]) -> list[Metric]:
    """Metrics with the p of every difference adjusted after Holm, arm by arm, over all of them but the first.

    The first metric is the one that the recipe names first: it was chosen before the numbers were seen. Parts, label by
    label and so on, are not among the tests.
    """
    secondary = [place for place, metric in enumerate(metrics) if place and metric.group == "all"]
    found = list(metrics)
    for label in dict.fromkeys(label for place in secondary for label in metrics[place].differences):
        tested = [place for place in secondary if label in metrics[place].differences]
        ps = holm([metrics[place].differences[label].p for place in tested])
        for place, p in zip(tested, ps, strict=True):
            own = found[place].differences
            found[place] = replace(found[place], differences=own | {label: replace(own[label], p_holm=p)})
    return found


def holm_note(metrics: Sequence[Metric]) -> str:
    """What is left of the differences after Holm, in a sentence; empty where nothing was adjusted."""
    tested = [metric for metric in metrics if any(one.p_holm is not None for one in metric.differences.values())]
    if len(tested) < 2:
        return ""
    kept = [
        f"{label} in {metric.metric} ({metric.extractor})"
        for metric in tested
        for label, one in metric.differences.items()
        if one.p_holm is not None and one.p_holm <= LEVEL
    ]
    told = f"Of the {len(tested)} metrics beside the first, adjusted together after Holm, differ at {LEVEL}: "
    return told + (", ".join(kept) if kept else "none") + "."


def permutation_p(store: Store, mine: Entry, theirs: Entry) -> float | None:
    """p of the difference of two kernel distances by dealing the images of both arms out again; None without files."""
    import numpy as np

    from mep.evaluation.evaluate import drawn
    from mep.methods.scores.kid import permutation_p as by_permutation

    extractor, root = mine.extractor, store.root / "store"
    paths = [root / one.artifact_id / "features" / f"{extractor}.npy" for one in (mine, theirs)]
    real = root / mine.references / extractor / "heldout.npy"
    if not mine.references or not all(path.exists() for path in (*paths, real)):
        return None
    sets = [np.load(path, mmap_mode="r", allow_pickle=False) for path in (real, *paths)]
    seed = int(mine.protocol["seed"])
    rows = drawn(len(sets[0]), mine.n_real, seed, 0)
    return by_permutation(np.asarray(sets[0][rows]), np.asarray(sets[1]), np.asarray(sets[2]), seed=seed)
