"""p-values that hold up: adjusted where many metrics are tested, by permutation where the features are still there."""

from collections.abc import Sequence
from dataclasses import replace

from mep.evaluation.uncertainty import holm
from mep.report.data.scores import StoredScore
from mep.report.tables.comparison import Metric
from mep.store import Store

LEVEL = 0.05

MOST_ARMS = 8
"""Rows of a table up to which permutations are computed: each takes a third of a second."""


def adjusted(metrics: Sequence[Metric]) -> list[Metric]:
    """Metrics with the p of every difference adjusted after Holm, arm by arm, over all of them but the first.

    The first metric is the one that the recipe names first: it was chosen before the numbers were seen. Parts, label by
    label and so on, are not among the tests.
    """
    secondary = [number for number, metric in enumerate(metrics) if number and metric.group == "all"]
    result = list(metrics)
    for label in dict.fromkeys(label for number in secondary for label in metrics[number].differences):
        tested = [number for number in secondary if label in metrics[number].differences]
        ps = holm([metrics[number].differences[label].p for number in tested])
        for number, p in zip(tested, ps, strict=True):
            deltas = result[number].differences
            result[number] = replace(result[number], differences=deltas | {label: replace(deltas[label], p_holm=p)})
    return result


def holm_note(metrics: Sequence[Metric]) -> str:
    """What is left of the differences after Holm, in a sentence; empty where nothing was adjusted."""
    adjusted_ps = [
        (f"{label} in {metric.metric} ({metric.extractor})", delta.p_holm)
        for metric in metrics
        for label, delta in metric.differences.items()
        if delta.p_holm is not None
    ]
    n_tested = sum(any(delta.p_holm is not None for delta in metric.differences.values()) for metric in metrics)
    if n_tested < 2:
        return ""
    significant = ", ".join(name for name, p in adjusted_ps if p <= LEVEL) or "none"
    return (
        f"Of the {n_tested} metrics beside the first, adjusted together after Holm, differ at {LEVEL}: {significant}."
    )


def permutation_p(store: Store, mine: StoredScore, theirs: StoredScore) -> float | None:
    """p of the difference of two kernel distances by dealing the images of both arms out again; None without files."""
    import numpy as np

    from mep.evaluation.space import drawn
    from mep.methods.scores.kid import permutation_p as by_permutation

    protocol, folder = mine.kind.protocol, store.root / "store"
    paths = [folder / score.artifact_id / "features" / f"{protocol.extractor}.npy" for score in (mine, theirs)]
    real_path = folder / mine.references / str(protocol.extractor) / "heldout.npy"
    if not mine.references or not all(path.exists() for path in (*paths, real_path)):
        return None
    real, fake_a, fake_b = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (real_path, *paths))
    seed = protocol.seed or 0
    rows = drawn(len(real), mine.n_real, seed, 0)
    return by_permutation(np.asarray(real[rows]), np.asarray(fake_a), np.asarray(fake_b), seed=seed)
