"""An arm minus the baseline, or why no difference is given."""

import math
import statistics
from typing import Any

from mep.config import canonical_json
from mep.evaluation.protocol import COMPARED
from mep.evaluation.uncertainty import difference, paired_by_seed
from mep.report.data.arms import Entry, Halves
from mep.report.tables.comparison import Delta
from mep.report.text import listed


def unlike_of(own: Entry, measure: Entry) -> dict[str, str]:
    """What was done otherwise -> both values; empty for numbers that can be compared."""
    numbers = (own.n_real, own.n_fake, own.dataset) == (measure.n_real, measure.n_fake, measure.dataset)
    if own.protocol is measure.protocol and numbers:
        return {}
    mine, theirs = own.row, measure.row
    found = {
        words: f"{_short(mine.get(name))}, not {_short(theirs.get(name))}"
        for name, words in COMPARED.items()
        if mine.get(name) != theirs.get(name)
    }
    if own.dataset != measure.dataset:
        found["the real images"] = f"{own.dataset[:16]}, not {measure.dataset[:16]}"
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def difference_of(own: dict[int, Entry], base: dict[int, Entry], how: dict[str, str], halves: Halves) -> Delta | str:
    """Arm minus baseline, over pairs of repeats or on shared halves; else why there is none."""
    if not own or not base:
        return "one of them has no such number"
    if how:
        return f"they differ in {listed(list(how))}"
    if len(own) > 1 or len(base) > 1:
        return _paired(own, base)
    (mine,), (theirs,) = own.values(), base.values()
    if mine.value is None or theirs.value is None:
        return mine.protocol.get("reason") or theirs.protocol.get("reason") or "there are too few images"
    if mine.se is None or theirs.se is None:
        same = any("no_spread" in one.protocol["flags"] for one in (mine, theirs))
        return "one of them is the same on every half" if same else "there are too few images for halves"
    my_halves, their_halves = halves.of(mine), halves.of(theirs)
    if my_halves is None or their_halves is None:
        return "the halves behind them have been deleted since"
    delta = difference(my_halves, their_halves, mine.value, theirs.value)
    if not math.isfinite(delta.se):
        return "there is no number on the halves of one of them"
    return Delta(**vars(delta))


def _paired(own: dict[int, Entry], base: dict[int, Entry]) -> Delta | str:
    mine, theirs = (
        {repeat: one.value for repeat, one in side.items() if one.value is not None} for side in (own, base)
    )
    if not mine or not theirs:
        return "one of them has no such number"
    if not set(mine) & set(theirs):
        return "they have no repeat in common"
    found = paired_by_seed(mine, theirs)
    if found.low is None or found.high is None or found.p is None:
        return found.sentence
    values = list(found.values.values())
    se = statistics.stdev(values) / math.sqrt(len(values))
    return Delta(found.value, se, found.low, found.high, found.p, len(values), found.sentence)
