"""An arm minus the baseline, or why no difference is given."""

import math
import statistics

from mep.config import canonical_json
from mep.evaluation.uncertainty import COMPARED, difference, paired_by_seed
from mep.report.data.scores import Halves, StoredScore
from mep.report.tables.comparison import Delta
from mep.report.text import listed

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
