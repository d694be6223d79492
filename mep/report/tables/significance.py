"""An arm minus the baseline, and p-values that hold up: adjusted over metrics, or by permutation."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mep.config import canonical_json
from mep.evaluation.uncertainty import COMPARED, difference, holm, paired_by_seed
from mep.report.data.arms import Halves, StoredScore
from mep.report.tables.comparison import Delta, Metric
from mep.report.text import listed
from mep.store import Store

LEVEL = 0.05
MOST_ARMS = 8
"""Rows of a table up to which permutations are computed: each takes a third of a second."""

Repeats = dict[int, StoredScore]
"""Number of the repeat -> its score."""


def unlike_of(score: StoredScore, standard: StoredScore) -> dict[str, str]:
    """What was done otherwise -> both values; empty for numbers that can be compared."""
    same_images = (score.n_real, score.n_fake, score.dataset) == (standard.n_real, standard.n_fake, standard.dataset)
    if score.kind is standard.kind and same_images:
        return {}
    mine, theirs = score.as_json(), standard.as_json()
    deviations = {
        words: f"{_short(mine.get(name))}, not {_short(theirs.get(name))}"
        for name, words in COMPARED.items()
        if mine.get(name) != theirs.get(name)
    }
    if score.dataset != standard.dataset:
        deviations["the real images"] = f"{score.dataset[:16]}, not {standard.dataset[:16]}"
    return deviations


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def difference_of(arm: Repeats, base: Repeats, deviations: dict[str, str], halves: Halves) -> Delta | str:
    """Arm minus baseline, over pairs of repeats or on shared halves; else why there is none."""
    if not arm or not base:
        return "one of them has no such number"
    if deviations:
        return f"they differ in {listed(list(deviations))}"
    if len(arm) > 1 or len(base) > 1:
        return _paired(arm, base)
    return _on_halves(next(iter(arm.values())), next(iter(base.values())), halves)


def _on_halves(mine: StoredScore, theirs: StoredScore, halves: Halves) -> Delta | str:
    if mine.value is None or theirs.value is None:
        return mine.kind.reason or theirs.kind.reason or "there are too few images"
    if None in (mine.se, theirs.se):
        constant = "no_spread" in (*mine.kind.flags, *theirs.kind.flags)
        return "one of them is the same on every half" if constant else "there are too few images for halves"
    my_halves, their_halves = halves.of(mine), halves.of(theirs)
    if my_halves is None or their_halves is None:
        return "the halves behind them have been deleted since"
    delta = difference(my_halves, their_halves, mine.value, theirs.value)
    return Delta(**vars(delta)) if math.isfinite(delta.se) else "there is no number on the halves of one of them"


def _paired(arm: Repeats, base: Repeats) -> Delta | str:
    mine, theirs = (
        {repeat: score.value for repeat, score in repeats.items() if score.value is not None} for repeats in (arm, base)
    )
    if not mine or not theirs:
        return "one of them has no such number"
    if not set(mine) & set(theirs):
        return "they have no repeat in common"
    paired = paired_by_seed(mine, theirs)
    if paired.low is None or paired.high is None or paired.p is None:
        return paired.sentence
    values = list(paired.values.values())
    se = statistics.stdev(values) / math.sqrt(len(values))
    return Delta(paired.value, se, paired.low, paired.high, paired.p, len(values), paired.sentence)


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
    from mep.evaluation.space import drawn
    from mep.methods.scores.kid import permutation_p as by_permutation

    protocol, folder = mine.kind.protocol, store.root / "store"
    paths = [folder / score.artifact_id / "features" / f"{protocol.extractor}.npy" for score in (mine, theirs)]
    real_path = folder / mine.references / str(protocol.extractor) / "heldout.npy"
    if not mine.references or not all(path.exists() for path in (*paths, real_path)):
        return None
    real, *made = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (real_path, *paths))
    seed = protocol.seed or 0
    if mine.kind.reference == "matched":
        matched = [folder / score.artifact_id / "matched" for score in (mine, theirs)]
        rows = np.load(matched[0] / "heldout.npy", allow_pickle=False)
        places = [np.load(rows_of / "samples.npy", allow_pickle=False) for rows_of in matched]
    else:
        rows = drawn(len(real), mine.n_real, seed, 0)
        places = [
            np.arange(min(score.n_fake, len(features))) for score, features in zip((mine, theirs), made, strict=True)
        ]
    fake_a, fake_b = (np.asarray(features[of_arm]) for features, of_arm in zip(made, places, strict=True))
    return by_permutation(np.asarray(real[rows]), fake_a, fake_b, seed=seed)
